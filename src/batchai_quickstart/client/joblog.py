"""A job's side of following a file: where it is, and whether the job is over."""

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import final

from batchai_quickstart import models
from batchai_quickstart.client import tail
from batchai_quickstart.client.answers import Listing
from batchai_quickstart.client.link import Link, Part
from batchai_quickstart.client.longpoll import LONGEST
from batchai_quickstart.client.resource import Resource
from batchai_quickstart.errors import ForbiddenError, NotFoundError, RequestError, ServiceError


def is_over(job: models.Job) -> bool:
    """Tell whether the job has ended; a state this package does not know is not an end."""
    state = job.properties.execution_state
    return isinstance(state, models.ExecutionState) and state.is_terminal


@final
class JobLog:
    """A file that a job writes; a `tail.Remote`.

    Arguments:
        job: the job.
        name: the file, below the output directory (`stderr.txt`, `logs/1.txt`).
        directory: `stdouterr` or the id of an output directory.
        sleep: pauses; given by tests.
    """

    def __init__(
        self,
        job: Resource[models.Job],
        name: str,
        directory: str,
        *,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        path = PurePosixPath(name)
        self._job = job
        self._name = path.name
        self._path = str(path.parent)
        self._directory = directory
        self._sleep = sleep
        self._link: Link | None = None

    def chunks(self, *, from_start: bool = True, tail_lines: int | None = None) -> Iterator[bytes]:
        """Iterate over the file's bytes, from now until the job is over.

        A file that is not there yet is waited for.

        Arguments:
            from_start: begin with what was written before; else with what comes now.
            tail_lines: begin with the last so many lines instead.

        Raises:
            NotFoundError: the job ended without such a file.
            ForbiddenError: the service refuses its own links.
            ServiceError: the service went away for good.
        """
        file = self._appeared()
        self._follow(file)
        size = (file.properties.content_length if file.properties else None) or 0
        offset = 0
        try:
            if tail_lines is not None:
                offset = tail.last_lines_offset(self._between, size, tail_lines)
            elif not from_start:
                offset = size
            yield from tail.follow(
                self, offset, is_alive=self._was_just_written(file), sleep=self._sleep
            )
        except tail.Broken as error:
            raise ServiceError(
                f"{self._name} of job {self._job.id.name} broke off and could not be read on: "
                f"{error}. The job goes on; follow it again when the service is back."
            ) from error
        except tail.Expired as error:
            raise ForbiddenError(
                f"the link to {self._name} of job {self._job.id.name} is refused, and so is a new "
                f"one: {error}"
            ) from error

    # --- tail.Remote --------------------------------------------------------------------------

    def read(self, offset: int, hold: float) -> Part:
        """Read from `offset` on."""
        assert self._link is not None
        return self._link.read(offset, hold)

    def renew(self) -> None:
        """Get a new link to the file."""
        try:
            listing = self._list(None, None)
        except ServiceError as error:
            raise tail.Broken(str(error)) from error
        file = self._find(listing)
        if file is None:
            raise self._missing(listing)
        self._follow(file)

    def over(self, hold: float) -> bool:
        """Tell whether the job is over; one that was deleted writes no more either."""
        try:
            return is_over(self._job.next(hold) if hold else self._job.refresh())
        except NotFoundError:
            return True
        except ServiceError as error:
            raise tail.Broken(str(error)) from error

    # --- finding the file ---------------------------------------------------------------------

    def _appeared(self) -> models.File:
        """The file, once it is there."""
        listing = self._list(None, LONGEST)
        ended = False
        while True:
            file = self._find(listing)
            if file is not None:
                return file
            if ended:
                raise self._missing(listing)
            # The state before the listing: what a job that was over has not written is not coming.
            ended = self._over_or_raise()
            assert listing is not None
            if not ended and not listing.pushed:
                self._sleep(tail.POLITE)
            etag = None if ended else listing.etag
            listing = self._list(etag, LONGEST) or listing

    @staticmethod
    def _was_just_written(file: models.File) -> bool:
        """Tell a file of a job that has just begun, whose state need not be asked first."""
        modified = file.properties.last_modified if file.properties else None
        if modified is None:
            return False
        return abs((datetime.now(UTC) - modified).total_seconds()) < tail.FRESH

    def _over_or_raise(self) -> bool:
        try:
            return self.over(0.0)
        except tail.Broken as error:
            raise ServiceError(str(error)) from error

    def _list(self, etag: str | None, wait: float | None) -> Listing | None:
        gateway = self._job.connection.gateway
        return gateway.output_files(self._job.id, self._directory, self._path, etag=etag, wait=wait)

    def _find(self, listing: Listing | None) -> models.File | None:
        for file in listing.files if listing else ():
            # Where blobs stand in for directories, an empty marker of the same name is listed too.
            if file.name == self._name and file.download_url:
                return file
        return None

    def _missing(self, listing: Listing | None) -> RequestError:
        names = sorted({file.name or "" for file in listing.files} if listing else ())
        place = self._directory if self._path == "." else f"{self._directory}/{self._path}"
        there = ", ".join(names) if names else "nothing"
        return NotFoundError(
            f"job {self._job.id.name} has no file {self._name!r} in {place}; there is: {there}",
            code="FileNotFound",
            target=self._name,
        )

    def _follow(self, file: models.File) -> None:
        assert file.download_url is not None
        self._link = Link(self._job.connection.session, file.download_url)

    def _between(self, begin: int, end: int) -> bytes:
        assert self._link is not None
        return b"".join(self._link.read(begin, end=end).chunks)
