"""Defaults for the layers' arguments, for as long as a `with` statement lasts."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, final

from cntk._absent import absent


@final
@dataclass(frozen=True, slots=True)
class _Override:
    """Marks an argument's default as one that `default_options` may replace."""

    default: Any


_SCOPES: Final[list[tuple[Callable[..., Any] | None, dict[str, Any]]]] = []


def default_override_or(value: Any) -> Any:
    """Return what marks `value` as a default that `default_options` may replace."""
    return _Override(value)


@contextmanager
def default_options(**kwargs: Any) -> Iterator[None]:
    """Use other defaults for all layers made inside; names that no layer knows are accepted."""
    _SCOPES.append((None, kwargs))
    try:
        yield
    finally:
        _SCOPES.pop()


@contextmanager
def default_options_for(layer_factory: Callable[..., Any], **kwargs: Any) -> Iterator[None]:
    """Use other defaults for one kind of layer."""
    _SCOPES.append((layer_factory, kwargs))
    try:
        yield
    finally:
        _SCOPES.pop()


def get_default_override(layer_factory: Callable[..., Any], **kwargs: Any) -> Any:
    """Return an argument's value: what was given, else the innermost override, else its default."""
    ((name, value),) = kwargs.items()
    if not isinstance(value, _Override):
        return value
    for only, options in reversed(_SCOPES):
        if name in options and only in (None, layer_factory):
            return options[name]
    return value.default


__getattr__ = absent(__name__)
