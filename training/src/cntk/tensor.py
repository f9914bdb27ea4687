"""Python's operators on everything that stands for a tensor."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from cntk.ops.functions import Function


class TensorOpsMixin:
    """Operators that build functions; variables, parameters, constants and functions have them.

    A comparison gives a Python truth of identity, not a function: functions and variables are keys
    of dictionaries. `less`, `greater` and their kin in `cntk.ops` compare element by element.
    """

    def __add__(self, other: Any) -> "Function":
        return _made("plus", self, other)

    def __radd__(self, other: Any) -> "Function":
        return _made("plus", other, self)

    def __sub__(self, other: Any) -> "Function":
        return _made("minus", self, other)

    def __rsub__(self, other: Any) -> "Function":
        return _made("minus", other, self)

    def __mul__(self, other: Any) -> "Function":
        return _made("element_times", self, other)

    def __rmul__(self, other: Any) -> "Function":
        return _made("element_times", other, self)

    def __truediv__(self, other: Any) -> "Function":
        return _made("element_divide", self, other)

    def __rtruediv__(self, other: Any) -> "Function":
        return _made("element_divide", other, self)

    def __pow__(self, other: Any) -> "Function":
        return _made("pow", self, other)

    def __matmul__(self, other: Any) -> "Function":
        return _made("times", self, other)

    def __rmatmul__(self, other: Any) -> "Function":
        return _made("times", other, self)

    def __neg__(self) -> "Function":
        return _made("negate", self)

    def __abs__(self) -> "Function":
        return _made("abs", self)

    def __getitem__(self, key: Any) -> Any:
        """Return a slice, or an output of several.

        An integer keeps its axis with length 1, a list joins its elements; a step counts only in a
        slice with a start or a stop. All as in CNTK.
        """
        if len(getattr(self, "outputs", ())) > 1:
            outputs: Any = self.outputs  # type: ignore[attr-defined]
            return outputs[key]
        result: Any = self
        first = 0
        keys = key if isinstance(key, tuple) else (key,)
        for axis, part in enumerate(keys):
            if part is Ellipsis:
                first = -len(keys)
                continue
            if isinstance(part, list):
                cuts = [_made("slice", result, axis, i, i + 1) for i in part]
                result = _made("splice", *cuts, axis=axis)
                continue
            if isinstance(part, int):
                part = slice(part, part + 1)
            if not isinstance(part, slice):
                message = f'type "{type(part)}" is not supported as index'
                raise IndexError(message)
            begin, end = part.start or 0, part.stop or 0
            if begin or end:
                result = _made("slice", result, axis + first, begin, end, part.step)
        return result

    def __iter__(self) -> Any:
        message = f"{type(self).__name__!r} object is not iterable"
        raise TypeError(message)


def _made(name: str, *operands: Any, **options: Any) -> "Function":
    # Operators build functions and functions have operators: one of the two must be looked up late.
    from cntk import ops

    function: Function = getattr(ops, name)(*operands, **options)
    return function
