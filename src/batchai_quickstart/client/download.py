"""One stored file coming down: by ranges of one version, whole or not at all."""

import errno
import hashlib
import os
import re
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Final, final

from batchai_quickstart.client.bars import Step
from batchai_quickstart.client.driver import Driver
from batchai_quickstart.client.lanes import Job, Lanes
from batchai_quickstart.client.rest import ATTEMPTS, Answer, md5_text, pause, transport_errors
from batchai_quickstart.errors import InvalidRequestError, RequestError, TransferError

_PART: Final = 8 << 20
"""Bytes of one range: they are written as they come, so long ones cost no memory."""
_PIECE: Final = 1 << 20
_CONTENT_RANGE: Final = re.compile(r"bytes (\d+)-(\d+)/(\d+)")


def fetch(driver: Driver, name: str, target: Path, lanes: Lanes, step: Step) -> None:
    """Download one file: under a temporary name first, so that `target` is whole or absent.

    Arguments:
        driver: the container or share.
        name: the file in it.
        target: where it comes to lie; directories on the way are made.
        lanes: bound of what is on its way at once.
        step: told how many bytes have come.

    Raises:
        NotFoundError: there is no such file.
        TransferError: it changed meanwhile, or what came is not what was stored.
    """
    first = _first(driver, name)
    try:
        with _kept_if_whole(target) as descriptor:
            _receive(_Incoming(driver, name, first, descriptor, step), lanes)
    finally:
        if first.stream is not None:
            first.stream.close()


@contextmanager
def _kept_if_whole(target: Path) -> Iterator[int]:
    """A descriptor to write a file by, which gets its name when the block has ended well."""
    temporary = target.with_name(f".{secrets.token_hex(6)}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
        if target.exists() and not target.is_file():
            # It would be replaced: whoever may do that to a device would lose it.
            raise FileExistsError(errno.EEXIST, "it is a device, pipe or socket", str(target))
        descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except (FileExistsError, NotADirectoryError, IsADirectoryError) as error:
        raise InvalidRequestError(
            f"cannot download to {target}: {error.strerror} ({error.filename})",
            code="InvalidDestination",
        ) from error
    except OSError as error:
        raise _unwritten(target, error) from error
    try:
        yield descriptor
        temporary.replace(target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise _unwritten(target, error) from error
        raise
    finally:
        os.close(descriptor)


def _unwritten(target: Path, error: OSError) -> TransferError:
    """The exception for a disk that is full, a directory nobody may write in, and the like."""
    reason = error.strerror or error
    return TransferError(f"cannot write {target}: {reason}; nothing of the download was kept")


def _first(driver: Driver, name: str) -> Answer:
    """The answer that begins the download, and says how long the file is."""
    headers = {"x-ms-range": f"bytes=0-{_PART - 1}"}
    answer = driver.rest.send(
        driver.service, "GET", driver.volume, name, headers=headers, stream=True, takes=(416,)
    )
    if answer.status != 416:
        return answer
    if answer.stream is not None:
        answer.stream.drain_conn()
    # No byte is in the range: the file is empty, which a read of all of it tells, too.
    return driver.rest.send(driver.service, "GET", driver.volume, name, stream=True)


@final
@dataclass(slots=True)
class _Incoming:
    """A download under way.

    Arguments:
        driver: the container or share.
        name: the file in it.
        first: the answer that began it.
        descriptor: of the local file.
        step: told how many bytes have come.
    """

    driver: Driver
    name: str
    first: Answer
    descriptor: int
    step: Step
    size: int = field(init=False)
    etag: str = field(init=False)
    digest: "hashlib._Hash" = field(
        init=False, default_factory=lambda: hashlib.md5(usedforsecurity=False)
    )

    def __post_init__(self) -> None:
        headers = self.first.headers
        found = _CONTENT_RANGE.fullmatch(headers.get("Content-Range", ""))
        self.size = int(found[3]) if found else int(headers.get("Content-Length", 0))
        self.etag = headers.get("ETag", "")

    def expected_md5(self) -> str | None:
        """The MD5 that was stored with the file, if one was."""
        headers = self.first.headers
        of_all = headers.get("x-ms-blob-content-md5") or headers.get("x-ms-content-md5")
        if of_all is None and self.first.status == 200:
            of_all = headers.get("Content-MD5")
        return md5_text(of_all)


def _receive(incoming: _Incoming, lanes: Lanes) -> None:
    first_end = incoming.size if incoming.first.status == 200 else min(_PART, incoming.size)
    offsets = [0, *range(first_end, incoming.size, _PART)] if incoming.size else []
    expected = incoming.expected_md5()
    hashed = _Hashed(incoming, expected is not None)

    def job(offset: int) -> None:
        end = min(offset + _PART, incoming.size) if offset else first_end
        _range(incoming, offset, end, incoming.first if offset == 0 else None)
        hashed.add(offset, end)

    def jobs() -> Iterator[Job]:
        for offset in offsets:
            yield partial(job, offset)

    lanes.run(jobs(), len(offsets))
    if expected is not None and incoming.digest.hexdigest() != expected:
        raise TransferError(
            f"{incoming.name}: the MD5 of what came is {incoming.digest.hexdigest()}, stored with "
            f"it is {expected}; the file was not kept"
        )


def _range(incoming: _Incoming, begin: int, end: int, answer: Answer | None) -> None:
    """Write one range into the file, going on where a connection breaks."""
    failures = 0
    while begin < end:
        answer = answer or _ask(incoming, begin, end)
        stream = answer.stream
        assert stream is not None
        try:
            piece = stream.read(min(_PIECE, end - begin))
            fault = "the answer ended early"
        except transport_errors() as error:
            piece, fault = b"", str(error)
        if piece:
            os.pwrite(incoming.descriptor, piece, begin)
            begin += len(piece)
            failures = 0
            incoming.step(len(piece))
            continue
        stream.close()
        answer = None
        failures += 1
        if failures == ATTEMPTS:
            raise TransferError(
                f"{incoming.name}: {begin} of {incoming.size} bytes came, then the connection "
                f"broke {failures} times: {fault}"
            )
        time.sleep(pause(failures, None))
    if answer is not None and answer.stream is not None:
        answer.stream.release_conn()


def _ask(incoming: _Incoming, begin: int, end: int) -> Answer:
    driver = incoming.driver
    headers = {"x-ms-range": f"bytes={begin}-{end - 1}", "If-Match": incoming.etag}
    try:
        answer = driver.rest.send(
            driver.service, "GET", driver.volume, incoming.name, headers=headers, stream=True
        )
    except RequestError as error:
        if error.status not in (404, 412, 416):
            raise
        raise TransferError(
            f"{incoming.name} was changed while it was downloaded, so nothing was kept; download "
            "it again when nobody writes it"
        ) from error
    said = answer.headers.get("Content-Range", "")
    if answer.status != 206 or not said.startswith(f"bytes {begin}-"):
        assert answer.stream is not None
        answer.stream.close()
        raise TransferError(f"{incoming.name}: the service answered {said!r} to {headers}")
    return answer


@final
class _Hashed:
    """The MD5 of a file whose ranges arrive in any order, made as far as it is whole.

    What came early is read back, from memory: it was written a moment ago.

    Arguments:
        incoming: the download.
        is_wanted: whether there is an MD5 to compare with.
    """

    def __init__(self, incoming: _Incoming, is_wanted: bool) -> None:
        self._incoming = incoming
        self._is_wanted = is_wanted
        self._ends: dict[int, int] = {}
        self._whole = 0
        self._lock = threading.Lock()

    def add(self, begin: int, end: int) -> None:
        """Count a range that has come."""
        if not self._is_wanted:
            return
        with self._lock:
            self._ends[begin] = end
            while (end := self._ends.pop(self._whole, 0)) > 0:
                for offset in range(self._whole, end, _PIECE):
                    count = min(_PIECE, end - offset)
                    self._incoming.digest.update(os.pread(self._incoming.descriptor, count, offset))
                self._whole = end
