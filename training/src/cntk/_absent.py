"""What this package does not provide says so by its own name."""

from collections.abc import Callable


def absent(module: str) -> Callable[[str], object]:
    """Return a module's `__getattr__` that names what was asked for.

    Args:
        module: The module's full name.

    Returns:
        A function of the missing name; it raises `AttributeError`, also for the names Python itself
        looks for.
    """

    def missing(name: str) -> object:
        if name.startswith("__"):
            message = f"module {module!r} has no attribute {name!r}"
            raise AttributeError(message)
        message = (
            f"{module}.{name} is not provided by this package yet; "
            "the original runtime (cntk-gpu==2.7.post2 on Python 3.6) has the whole of CNTK."
        )
        raise AttributeError(message)

    return missing


def refuse(what: str) -> NotImplementedError:
    """Return the error that says that `what`, a name with its argument, is not provided."""
    return NotImplementedError(f"{what} is not provided by this package yet.")
