"""How attributes are spelt on the wire."""

from pydantic.alias_generators import to_camel

_ODD = {
    "disk_size_in_gb": "diskSizeInGB",
    "public_ips_to_allow": "publicIPsToAllow",
    "file_server_public_ip": "fileServerPublicIP",
    "file_server_internal_ip": "fileServerInternalIP",
}


def wire_name(attribute: str) -> str:
    """The wire's spelling of an attribute: `node_count` is `nodeCount`."""
    return _ODD.get(attribute) or to_camel(attribute)
