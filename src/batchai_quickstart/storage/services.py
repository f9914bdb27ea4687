"""The operations on a whole service: its properties, its replication, its account.

Of the properties, CORS rules and Blob's default version are done. Others can be set to what they
are, which is off: nothing is logged, counted or kept after its deletion here.
"""

import time
from dataclasses import replace
from typing import Final, final

from batchai_quickstart.storage import cors
from batchai_quickstart.storage.document import Element, read
from batchai_quickstart.storage.protocol import (
    Request,
    Response,
    StorageError,
    http_date,
    xml_response,
)
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.transfer import small_body
from batchai_quickstart.storage.versions import is_version
from batchai_quickstart.storage.volume import Kind

_BODY_AT_MOST: Final = 64 << 10
_RETENTION: Final = "<RetentionPolicy><Enabled>false</Enabled></RetentionPolicy>"
_LOGGING: Final = (
    "<Logging><Version>1.0</Version><Delete>false</Delete><Read>false</Read>"
    f"<Write>false</Write>{_RETENTION}</Logging>"
)
_METRICS: Final = "".join(
    f"<{name}><Version>1.0</Version><Enabled>false</Enabled>{_RETENTION}</{name}>"
    for name in ("HourMetrics", "MinuteMetrics")
)
_DELETED: Final = "<DeleteRetentionPolicy><Enabled>false</Enabled></DeleteRetentionPolicy>"
_WEBSITE: Final = "<StaticWebsite><Enabled>false</Enabled></StaticWebsite>"
_TAGS: Final = {
    Kind.BLOB: (
        "Logging",
        "HourMetrics",
        "MinuteMetrics",
        "Cors",
        "DefaultServiceVersion",
        "DeleteRetentionPolicy",
        "StaticWebsite",
    ),
    Kind.FILE: ("HourMetrics", "MinuteMetrics", "Cors", "ProtocolSettings"),
}


@final
class Services:
    """The operations on services; each takes a request and answers it.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def properties(self, request: Request) -> Response:
        """Get Blob Service Properties, Get File Service Properties."""
        settings = self._store.settings(request.account.name, request.kind)
        parts = [_METRICS, cors.to_xml(settings)]
        if request.kind is Kind.BLOB:
            version = settings.version
            default = f"<DefaultServiceVersion>{version}</DefaultServiceVersion>" if version else ""
            parts = [_LOGGING, *parts, default, _DELETED, _WEBSITE]
        inner = "".join(parts)
        return xml_response(f"<StorageServiceProperties>{inner}</StorageServiceProperties>")

    async def set_properties(self, request: Request) -> Response:
        """Set Blob Service Properties, Set File Service Properties.

        What the document does not name stays as it is.

        Raises:
            StorageError: 400, it is not such a document; 501, something is to be switched on that
                is not done here.
        """
        document = read(await small_body(request, _BODY_AT_MOST), "StorageServiceProperties")
        document.only(*_TAGS[request.kind])
        settings = self._store.settings(request.account.name, request.kind)
        for element in document.children:
            if element.tag == "Cors":
                settings = replace(settings, cors=cors.rules_of(element))
            elif element.tag == "DefaultServiceVersion":
                if element.text and not is_version(element.text):
                    raise StorageError("InvalidXmlDocument", f"The version {element.text[:80]!r}.")
                settings = replace(settings, version=element.text)
            else:
                _check_off(element, element.tag)
        self._store.set_settings(request.account.name, request.kind, settings)
        return Response(202)

    async def stats(self, request: Request) -> Response:
        """Get Blob Service Stats: of the second address, which is the same storage."""
        if not request.secondary:
            raise StorageError(
                "InvalidQueryParameterValue",
                f"comp=stats is for the second address, {request.account.name}-secondary.",
            )
        return xml_response(
            "<StorageServiceStats><GeoReplication><Status>live</Status>"
            f"<LastSyncTime>{http_date(int(time.time()))}</LastSyncTime>"
            "</GeoReplication></StorageServiceStats>"
        )

    async def account(self, request: Request) -> Response:
        """Get Account Information."""
        headers = (
            ("x-ms-sku-name", "Standard_LRS"),
            ("x-ms-account-kind", "StorageV2"),
            ("x-ms-is-hns-enabled", "false"),
        )
        return Response(200, headers)


def _check_off(element: Element, path: str) -> None:
    """Refuse what would switch something on: the value `true` anywhere in an element."""
    if element.text.lower() in ("true", "1"):
        raise StorageError("NotImplemented", f"{path} is not done by this service.")
    for child in element.children:
        _check_off(child, f"{path}/{child.tag}")
