"""Defaults for the layers' arguments, for as long as a `with` statement lasts."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Final, final

from cntk._absent import absent


@final
@dataclass(frozen=True, slots=True)
class _Override:
    """Marks an argument's default as one that `default_options` may replace."""

    default: Any


_SCOPES: Final[list[tuple[tuple[Any, ...] | None, dict[str, Any]]]] = []
_GLOBAL: Final[dict[str, Any]] = {}


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
def default_options_for(functions: Any, **kwargs: Any) -> Iterator[None]:
    """Use other defaults for one kind of layer, or for a list of kinds."""
    kinds = tuple(functions) if isinstance(functions, list) else (functions,)
    _SCOPES.append((kinds, kwargs))
    try:
        yield
    finally:
        _SCOPES.pop()


def is_default_override(value: Any) -> bool:
    """Return whether `default_override_or` made the value."""
    return isinstance(value, _Override)


def get_default_override(function_or_class: Any, **kwargs: Any) -> Any:
    """Return an argument's value: what was given, else the innermost override, else its default.

    Args:
        function_or_class: The layer whose argument it is; None: any.
        kwargs: The argument's name and its value.
    """
    if len(kwargs) != 1:
        message = f"get_default_override() takes 1 keyword argument but {len(kwargs)} were given"
        raise TypeError(message)
    ((name, value),) = kwargs.items()
    if not isinstance(value, _Override):
        return value
    for only, options in reversed(_SCOPES):
        if name in options and (only is None or function_or_class in (None, *only)):
            return options[name]
    return value.default


def set_global_option(key: str, value: Any) -> None:
    """Set an option that holds for the whole process."""
    _GLOBAL[key] = value


def get_global_option(key: str, default_value: Any) -> Any:
    """Return an option of the whole process, or the default if it was not set."""
    return _GLOBAL.get(key, default_value)


__getattr__ = absent(__name__)
