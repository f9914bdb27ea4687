"""What a transfer asks of Blob and of Files: the seam between what they share and what differs."""

import mimetypes
from collections.abc import Iterator
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Protocol
from urllib.parse import unquote
from xml.etree import ElementTree as ET

from batchai_quickstart.client.access import Service
from batchai_quickstart.client.bars import Step
from batchai_quickstart.client.lanes import Lanes
from batchai_quickstart.client.localfiles import Source
from batchai_quickstart.client.rest import Answer, Rest, md5_text
from batchai_quickstart.client.stored import StoredFile
from batchai_quickstart.errors import ServiceError

PART = 4 << 20
"""Bytes of a file that go in one request; a file no longer than this goes in one piece."""


class Driver(Protocol):
    """One container or share on the wire."""

    @property
    def rest(self) -> Rest:
        """The account's wire."""

    @property
    def volume(self) -> str:
        """The name of the container or share."""

    @property
    def service(self) -> Service:
        """Which of the two services it speaks to."""

    def create(self) -> None:
        """Create the container or share; one that exists stays as it is."""

    def delete(self) -> None:
        """Delete it with everything in it; one that does not exist is no error."""

    def entries(self, path: str) -> Iterator[StoredFile]:
        """What is in one directory."""

    def walk(self, path: str) -> Iterator[StoredFile]:
        """Every file below a directory; of a share every directory, too, before what is in it."""

    def put(self, name: str, source: Source, lanes: Lanes, step: Step) -> None:
        """Upload a file: the name has the old content or all of the new one, never a mixture."""

    def prepare(self, directory: str) -> None:
        """Make what an upload into a directory needs: the container or share, the directories."""

    def delete_directory(self, path: str) -> None:
        """Delete an empty directory, where there are any."""


def facts(driver: Driver, name: str) -> StoredFile | None:
    """What is stored under a name; None when nothing is."""
    answer = driver.rest.send(driver.service, "HEAD", driver.volume, name, takes=(404,))
    if answer.status == 404:
        return None
    return StoredFile(
        name,
        int(answer.headers["Content-Length"]),
        date(answer.headers.get("Last-Modified")),
        is_directory=False,
        md5=md5_text(answer.headers.get("Content-MD5")),
    )


def delete_file(driver: Driver, name: str) -> None:
    """Delete one file.

    Raises:
        NotFoundError: there is none.
    """
    driver.rest.send(driver.service, "DELETE", driver.volume, name, lost=(404,))


def content_type(name: str) -> str:
    """The type a browser shows a file by, told by its name."""
    kind, encoding = mimetypes.guess_type(name)
    return kind if kind and not encoding else "application/octet-stream"


def date(text: str | None) -> datetime | None:
    """A time of a header or listing, in UTC."""
    return parsedate_to_datetime(text) if text else None


def pages(
    rest: Rest, service: Service, volume: str, path: str, query: dict[str, str]
) -> Iterator[ET.Element]:
    """Every page of a listing.

    Arguments:
        rest: the wire.
        service: Blob or Files.
        volume: container or share.
        path: of the directory, for Files.
        query: parameters of the listing.
    """
    marker = ""
    while True:
        asked = {**query, "comp": "list", **({"marker": marker} if marker else {})}
        answer: Answer = rest.send(service, "GET", volume, path, query=asked)
        page = answer.xml()
        yield page
        marker = page.findtext("NextMarker") or ""
        if not marker:
            return


def item_name(item: ET.Element) -> str:
    """The name of a listing's item.

    Raises:
        ServiceError: it has none.
    """
    element = item.find("Name")
    if element is None or not element.text:
        raise ServiceError("the storage service listed something without a name")
    encoded = element.get("Encoded", "").lower() == "true"
    return unquote(element.text, errors="surrogateescape") if encoded else element.text


def item_file(item: ET.Element, name: str) -> StoredFile:
    """The file of a listing's item."""
    return StoredFile(
        name,
        int(item.findtext("Properties/Content-Length") or 0),
        date(item.findtext("Properties/Last-Modified")),
        is_directory=False,
        md5=md5_text(item.findtext("Properties/Content-MD5")),
    )
