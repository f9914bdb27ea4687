"""What every handle does with its resource: read, wait, delete."""

import threading
import time
from collections.abc import Callable
from typing import Any, Generic, TypeVar, final

from batchai_quickstart.client.connection import Connection
from batchai_quickstart.client.longpoll import LONGEST
from batchai_quickstart.errors import InvalidRequestError, ServiceError, WaitTimeoutError
from batchai_quickstart.ids import Kind, ResourceId
from batchai_quickstart.models._base import Model

M = TypeVar("M", bound=Model)
L = TypeVar("L", bound=Model)

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 5.0
"""Seconds between questions to a service that does not."""
OUTAGE = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 5.0, 5.0, 5.0, 5.0)
"""Seconds before each new attempt when a service has gone away during a wait."""


def address(parent: ResourceId, kind: Kind, name: str) -> ResourceId:
    """The id of `name` below `parent`, once the name is known to be allowed."""
    kind.check_name(name)
    return parent.child(kind, name)


def of_kind(kind: Kind, text: str | ResourceId) -> ResourceId:
    """Read the id of a resource of `kind`.

    Raises:
        InvalidRequestError: it is no id, or the id of something else.
    """
    resource = text if isinstance(text, ResourceId) else ResourceId.parse(text)
    if resource.kind is not kind:
        found = resource.kind.noun if resource.kind else "ResourceGroup"
        raise InvalidRequestError(
            f"{resource} is the id of a {found}; expected that of a {kind.noun}",
            code="InvalidResourceId",
            target=str(resource),
        )
    return resource


@final
class Resource(Generic[M]):
    """A connection, an id, and the last representation seen; what handles are made of.

    Arguments:
        connection: the way to the service.
        id: the resource.
        kind: the class of its representation.
        model: the representation, if it is known.
        etag: the version of `model`.
    """

    def __init__(
        self,
        connection: Connection,
        id: ResourceId,  # noqa: A002 - the wire's word, and the handles'
        kind: type[M],
        model: M | None = None,
        etag: str | None = None,
    ) -> None:
        self.connection = connection
        self.id = id
        self._kind = kind
        self._lock = threading.Lock()
        self._seen = (model, etag, None)

    @staticmethod
    def listed(connection: Connection, model: "L") -> "Resource[L]":
        """Return the resource of a list's entry, which carries its id."""
        return Resource(connection, ResourceId.parse(getattr(model, "id", "")), type(model), model)

    _seen: tuple[M | None, str | None, bool | None]

    @property
    def model(self) -> M:
        """The last representation seen; asked for now if there is none."""
        model = self._seen[0]
        return self.refresh() if model is None else model

    @property
    def known(self) -> M | None:
        """The last representation seen, without asking."""
        return self._seen[0]

    def remember(self, model: M) -> None:
        """Keep a representation that came with another answer."""
        with self._lock:
            self._seen = (model, None, self._seen[2])

    def refresh(self) -> M:
        """Read the resource now.

        Raises:
            NotFoundError: it is not there (any more).
        """
        return self._ask(None, None)

    def next(self, wait: float) -> M:
        """Read the resource once it differs from what was last seen, after `wait` seconds at most.

        A service that holds no long polls answers at once.
        """
        return self._ask(self._seen[1], wait)

    @property
    def pushed(self) -> bool:
        """Whether the service was seen to hold long polls."""
        return bool(self._seen[2])

    def _ask(self, etag: str | None, wait: float | None) -> M:
        seen = self.connection.gateway.get(self.id, self._kind, etag=etag, wait=wait)
        with self._lock:
            if seen is not None:
                pushed = self._seen[2] if wait is None else seen.pushed
                self._seen = (seen.model, seen.etag, pushed)
            else:
                # Only a service that knows the version answers "not modified".
                self._seen = (self._seen[0], self._seen[1], True)
            model = self._seen[0]
        assert model is not None
        return model

    def wait(
        self,
        until: Callable[[M], bool],
        *,
        timeout: float | None,
        describe: Callable[[M], str],
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> M:
        """Return the representation as soon as `until` holds for it.

        Pushed by a service that holds long polls; else asked every second, later every five.

        Arguments:
            until: what to wait for.
            timeout: seconds to wait at most; None: for ever.
            describe: says what is waited for and how things stand, for the error.
            sleep: pauses; given by tests.
            clock: monotonic seconds; given by tests.

        Raises:
            WaitTimeoutError: it did not come true in time.
            ServiceError: the service cannot be reached, or went away and did not come back.
        """
        deadline = None if timeout is None else clock() + timeout
        pause, outage, answered = FIRST_PAUSE, 0, False
        model = self.known
        if model is not None and until(model):
            return model
        while True:
            left = LONGEST if deadline is None else max(0.0, deadline - clock())
            held = int(min(LONGEST, left))
            try:
                # The wire's waits are whole seconds; less is slept, and then looked once more.
                model = self.next(held) if held else self.refresh()
            except ServiceError:
                # One that answered before is perhaps restarting; its jobs go on without it.
                if not answered or not left or outage == len(OUTAGE):
                    raise
                sleep(min(OUTAGE[outage], left))
                outage += 1
                continue
            outage, answered = 0, True
            if until(model):
                return model
            if not left:
                raise WaitTimeoutError(f"after {timeout:g} s {describe(model)}")
            if not held or not self.pushed:
                left = pause if deadline is None else max(0.0, deadline - clock())
                sleep(min(pause, left))
                pause = min(1.5 * pause, LONGEST_PAUSE)

    def delete(self, *, wait: bool) -> None:
        """Delete the resource and all below it."""
        self.connection.gateway.delete(self.id, wait=wait)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Resource)
            and self.id == other.id
            and self.connection == other.connection
        )

    def __hash__(self) -> int:
        return hash((self.id, self.connection))

    def __reduce__(self) -> tuple[Any, ...]:
        return Resource, (self.connection, self.id, self._kind, *self._seen[:2])
