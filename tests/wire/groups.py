"""Resource groups for tests, by plain HTTP: what is tested is another client."""

import json
import urllib.error
import urllib.request
import uuid

from batchai_quickstart.local import LocalService


def request(
    service: LocalService, method: str, path: str, body: object = None
) -> dict[str, object]:
    """Send one ARM request with the service's token; the answer's JSON, {} when empty."""
    call = urllib.request.Request(
        f"{service.endpoint}/subscriptions/{service.subscription_id}{path}",
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(call) as answer:
        content = answer.read()
        found: dict[str, object] = json.loads(content) if content else {}
        return found


def new_group(service: LocalService) -> str:
    """Create a group with a name of its own."""
    name = f"g{uuid.uuid4().hex[:8]}"
    request(
        service, "PUT", f"/resourcegroups/{name}?api-version=2024-11-01", {"location": "eastus"}
    )
    return name


def delete_group(service: LocalService, name: str) -> None:
    """Begin to delete a group and everything in it."""
    request(service, "DELETE", f"/resourcegroups/{name}?api-version=2024-11-01")
