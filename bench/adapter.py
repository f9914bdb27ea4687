"""What a way to run jobs must offer to be measured."""

from collections.abc import Iterator, Sequence
from typing import Any, Protocol, Self


class Adapter(Protocol):
    """A way to run commands, with its service if it has one; used as a context manager.

    Arguments:
        parallel: most jobs it may have in flight at once; 0: no limit.
        keeps: its jobs' output stays, and can be followed again after they have ended.
    """

    parallel: int
    keeps: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *exception: object) -> None: ...

    def submit(self, argv: Sequence[str]) -> Any:
        """Start a command and return a handle on it without waiting."""

    def follow(self, job: Any) -> Iterator[str]:
        """Iterate over the command's output as it comes, until the command has ended."""

    def wait(self, job: Any) -> int:
        """Return the command's exit status as soon as its end is seen."""

    def service(self) -> list[int]:
        """The processes that serve while no job runs; none where there is no service."""
