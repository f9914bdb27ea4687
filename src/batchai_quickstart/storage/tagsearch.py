"""Asking about the index tags of blobs: Find Blobs by Tags, and conditions on tags."""

from collections.abc import Iterator

from batchai_quickstart.storage import tags
from batchai_quickstart.storage.pages import floor, listing_response, marker, page_size
from batchai_quickstart.storage.protocol import Request, Response, StorageError, xml_name, xml_text
from batchai_quickstart.storage.store import Store
from batchai_quickstart.storage.volume import Volume


class TagSearch:
    """Find Blobs by Tags, in an account or in a container.

    Arguments:
        store: where everything is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store

    async def find(self, request: Request) -> Response:
        """Find Blobs by Tags."""
        where = request.query.get("where")
        if not where:
            raise StorageError("MissingRequiredQueryParameter", "where.")
        if request.volume:
            self._store.volume(request.account.name, request.kind, request.volume)
        limit, following = page_size(request), ""
        items: list[str] = []
        for volume, path, found in self._matching(request, where):
            if len(items) == limit:
                following = marker(f"{volume.name}/{path}")
                break
            items.append(
                f"<Blob>{xml_name(path)}<ContainerName>{volume.name}</ContainerName>"
                f"{tags.to_xml(found)}</Blob>"
            )
        body = f"<Where>{xml_text(where)}</Where><Blobs>{''.join(items)}</Blobs>"
        return listing_response(request, body, following)

    def _matching(
        self, request: Request, where: str
    ) -> Iterator[tuple[Volume, str, dict[str, str]]]:
        wanted = tags.expression(where, searching=True)
        name, _, path = floor(request).partition("/")
        name = name.encode("utf-8", "replace").decode()  # a marker that was not ours may be no text
        found = self._store.tagged(request.account.name, request.volume, (name, path))
        for volume, each in found:
            its = tags_of(self._store, volume, each)
            if its and wanted({**its, "@container": volume.name}):
                yield volume, each, its


def tags_of(store: Store, volume: Volume, path: str) -> dict[str, str]:
    """The tags of a blob; none when it has none or is not there."""
    status = volume.stat(volume.segments(path))
    return {} if status is None else dict(store.said(volume, path, status).tags)


def check_tags(store: Store, request: Request, volume: Volume) -> None:
    """Hold a request against its condition on tags.

    Raises:
        StorageError: 412.
    """
    text = request.headers.get("x-ms-if-tags")
    if text is None:
        return
    if not tags.expression(text, searching=False)(tags_of(store, volume, request.path)):
        raise StorageError("ConditionNotMet")
