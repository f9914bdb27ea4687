"""List Handles and Force Close Handles.

Handles are what SMB clients hold open. There is no SMB here, and so never a handle: the answers
are the true ones for a share that nobody has mounted that way.
"""

from typing import Final, final

from batchai_quickstart.storage.pages import page_size
from batchai_quickstart.storage.protocol import Request, Response, StorageError, xml_response
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Kind

_ID: Final = "x-ms-handle-id"


@final
class Handles:
    """The operations on handles; each takes a request and answers it.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def list(self, request: Request) -> Response:
        """List Handles: none."""
        self._check(request)
        page_size(request)
        return xml_response("<EnumerationResults><Entries /><NextMarker /></EnumerationResults>")

    async def close(self, request: Request) -> Response:
        """Force Close Handles: there was none to close."""
        self._check(request)
        handle = request.headers.get(_ID)
        if handle is None:
            raise StorageError("MissingRequiredHeader", f"{_ID}.")
        if handle != "*" and not (handle.isascii() and handle.isdigit()):
            raise StorageError("InvalidHeaderValue", f"{_ID} is {handle[:80]!r}, no id and no *.")
        counts = (("x-ms-number-of-handles-closed", "0"), ("x-ms-number-of-handles-failed", "0"))
        return Response(200, counts)

    def _check(self, request: Request) -> None:
        volume = self._store.volume(request.account.name, Kind.FILE, request.volume)
        request.flag("x-ms-recursive")
        if volume.stat(volume.segments(request.path)) is None:
            raise StorageError("ResourceNotFound")
