"""Types of a function's arguments, for `@Function.with_signature` and annotations."""

from collections.abc import Callable
from collections.abc import Sequence as Listed
from typing import Any, Final, final

import numpy as np

from cntk._absent import absent
from cntk.axis import Axis
from cntk.variables import Record

_FLOATS: Final = (np.float32, np.float64)


@final
class _TensorTypes:
    """Makes the types of tensors of one kind: `Tensor[13, 42]`, `Tensor[np.float64, 3]`."""

    def __init__(self, *, is_sparse: bool, dynamic_axes: Listed[Axis]) -> None:
        self._kind = {"is_sparse": is_sparse, "dynamic_axes": list(dynamic_axes)}

    def __getitem__(self, shape: Any) -> Record:
        dims = shape if isinstance(shape, tuple) else (shape,)
        options: dict[str, Any] = {}
        if dims and dims[0] in _FLOATS:
            options["dtype"] = dims[0]
            dims = dims[1:]
        return Record(shape=dims, **self._kind, **options)


@final
class _SequenceTypes:
    """Makes the types of sequences of tensors: `Sequence[Tensor[13]]`."""

    def __init__(self, axes: Listed[Axis]) -> None:
        self._axes = list(axes)

    def __getitem__(self, item_type: Any) -> Record:
        axes = item_type.get("dynamic_axes")
        if axes and axes != [Axis.default_batch_axis()]:
            message = "sequences over sequences are currently not supported"
            raise TypeError(message)
        return Record(**{**item_type, "dynamic_axes": self._axes})


@final
class SequenceOverMeta:
    """Makes `Sequence` over an axis of one's own: `SequenceOver[axis][Tensor[13]]`."""

    def __getitem__(self, axis: Axis) -> _SequenceTypes:
        return _SequenceTypes([Axis.default_batch_axis(), axis])


Tensor: Final = _TensorTypes(is_sparse=False, dynamic_axes=[Axis.default_batch_axis()])
"""Of samples in a minibatch."""
SparseTensor: Final = _TensorTypes(is_sparse=True, dynamic_axes=[Axis.default_batch_axis()])
"""Of samples in a minibatch, most of whose elements are 0."""
ParameterTensor: Final = _TensorTypes(is_sparse=False, dynamic_axes=[])
"""Of what is the same for all samples."""
Sequence: Final = _SequenceTypes(Axis.default_input_variable_dynamic_axes())
SequenceOver: Final = SequenceOverMeta()
tensor: Final = Record(is_sparse=False, dynamic_axes=[Axis.default_batch_axis()])
"""A tensor of any shape."""


def Signature(*args: Any, **kwargs: Any) -> Callable[..., Any]:  # noqa: N802 (CNTK's name)
    """Return a decorator that gives a Python function's arguments their types.

    Args:
        args: Types, in the order of the arguments.
        kwargs: Types by name.
    """

    def annotate(f: Any) -> Any:
        names = list(f.__code__.co_varnames[: f.__code__.co_argcount])
        if f.__annotations__:
            message = "@Signature cannot be applied to functions that already have annotations"
            raise ValueError(message)
        if len(args) + len(kwargs) != len(names):
            message = (
                f"{len(args) + len(kwargs)} annotations provided for function to be decorated, but "
                f"function has {len(names)} parameters"
            )
            raise TypeError(message)
        f.__annotations__ = {**dict(zip(names, args, strict=False)), **kwargs}
        return f

    return annotate


__getattr__ = absent(__name__)
