"""What stands at the edges of a graph: inputs, outputs, parameters, constants and placeholders."""

import itertools
from collections.abc import Iterable
from enum import IntEnum
from typing import TYPE_CHECKING, Any, Final, final

import numpy as np
import numpy.typing as npt
import torch

from cntk._absent import absent
from cntk.axis import Axis
from cntk.device import use_default_device
from cntk.initializer import Initializer, _settled, _values
from cntk.tensor import TensorOpsMixin

if TYPE_CHECKING:
    from cntk._graph import Node
    from cntk.ops.functions import Function

InferredDimension: Final = -1
"""A dimension that the first use settles."""
FreeDimension: Final = -3
"""A dimension that each minibatch has its own of."""
Shape = tuple[int, ...]
_UIDS: Final = itertools.count()
_TORCH_TYPES: Final = {np.dtype(np.float32): torch.float32, np.dtype(np.float64): torch.float64}
DTYPES: Final[dict[int, "np.dtype[Any]"]] = {1: np.dtype(np.float32), 2: np.dtype(np.float64)}
"""CNTK's numbers of the types, as files have them."""
_NAMES: Final = {np.dtype(np.float32): "Float", np.dtype(np.float64): "Double"}


class Record(dict[str, Any]):
    """A dictionary whose values are attributes as well; it never changes."""

    def __getattr__(self, key: str) -> Any:
        if key not in self:
            message = f"record has no attribute '{key}'"
            raise AttributeError(message)
        return self[key]

    def __setattr__(self, key: str, value: Any) -> None:
        message = "record is immutable"
        raise AttributeError(message)

    def updated_with(self, **kwargs: Any) -> "Record":
        """Return a record with other values."""
        return Record({**self, **kwargs})


class Kind(IntEnum):
    """Kinds of variables, numbered as in CNTK's files."""

    INPUT = 0
    OUTPUT = 1
    PARAMETER = 2
    CONSTANT = 3
    PLACEHOLDER = 4


class Variable(TensorOpsMixin):
    """A symbol for a tensor of each sample.

    Args:
        shape: Of one sample; None while it is unknown.
        dtype: numpy's `float32` or `float64`.
        kind: Input, output, parameter, constant or placeholder.
        name: A user's name for it.
        batched: Whether each sample of a minibatch has its own value.
        needs_gradient: Whether `grad` may ask for it.
        uid: The name of a variable that came from a file; a new one otherwise.
    """

    def __init__(
        self,
        shape: Shape | None,
        dtype: npt.DTypeLike = np.float32,
        *,
        kind: Kind,
        name: str = "",
        batched: bool = True,
        needs_gradient: bool = False,
        uid: str = "",
    ) -> None:
        self._shape = shape
        self.dtype = np.dtype(dtype)
        self.kind = kind
        self.name = name
        self.needs_gradient = needs_gradient
        self.uid = uid or _next_uid(kind.name.title())
        self._batched = batched
        self._node: Node | None = None
        self._tensor_: torch.Tensor | None = None
        self._init: Initializer = 0.0

    @property
    def shape(self) -> Shape:
        """The shape of one sample; empty for a scalar and while nothing is known."""
        return self._shape or ()

    @property
    def dynamic_axes(self) -> tuple[Axis, ...]:
        """The batch axis, or nothing for what is the same for all samples."""
        return (Axis.default_batch_axis(),) if self._batched else ()

    @property
    def is_sparse(self) -> bool:
        """False: values are dense."""
        return False

    @property
    def is_input(self) -> bool:
        """Whether data are fed here."""
        return self.kind is Kind.INPUT

    @property
    def is_output(self) -> bool:
        """Whether a function makes it."""
        return self.kind is Kind.OUTPUT

    @property
    def is_parameter(self) -> bool:
        """Whether learners may change it."""
        return self.kind is Kind.PARAMETER

    @property
    def is_constant(self) -> bool:
        """Whether its value is fixed."""
        return self.kind is Kind.CONSTANT

    @property
    def is_placeholder(self) -> bool:
        """Whether it waits to be replaced."""
        return self.kind is Kind.PLACEHOLDER

    @property
    def owner(self) -> "Function | None":
        """The function that makes it, None for a leaf."""
        from cntk.ops.functions import Function

        return None if self._node is None else Function._of(self._node.outputs).root_function

    def __repr__(self) -> str:
        if self._shape is None:
            return f"{self.kind.name.title()}('{self.name or self.uid}', [???], [???])"
        axes = "[#]" if self._batched else "[]"
        shape = f"[{' x '.join(map(_dimension, self._shape))}]"
        return f"{self.kind.name.title()}('{self.name or self.uid}', {axes}, {shape})"

    @property
    def _torch_type(self) -> torch.dtype:
        return _TORCH_TYPES[self.dtype]

    def _hold(self, array: npt.ArrayLike) -> None:
        """Make `array` the value, on the device in use."""
        values = np.array(array, self.dtype)
        tensor = torch.from_numpy(values).to(use_default_device()._torch)
        if tensor.dim() == 4:
            # Convolutions run faster with channels last, and the weight's layout decides it for the
            # whole chain.
            tensor = tensor.contiguous(memory_format=torch.channels_last)
        self._tensor_ = tensor.requires_grad_(self.kind is Kind.PARAMETER)

    def _infer(self, shape: Shape) -> None:
        """Settle the shape, and with it the value."""
        self._shape = shape
        if self._tensor_ is None and InferredDimension not in shape:
            self._hold(_values(self._init, shape, self.dtype))

    @property
    def _tensor(self) -> torch.Tensor:
        if self._tensor_ is None:
            message = f"{self!r} has no value: its shape is not known yet."
            raise ValueError(message)
        return self._tensor_


@final
class Parameter(Variable):
    """A value that training changes.

    Args:
        shape: Its shape; -1 for dimensions that the first use settles. None: the shape of `init`.
        init: A number, an array or one of `cntk.initializer`.
        dtype: numpy's `float32` or `float64`; taken from `init` when that is an array of one of
            them.
        device: Accepted; everything lives on the default device.
        name: A user's name for it.
    """

    def __init__(
        self,
        shape: Shape | int | None = None,
        init: Initializer | list[Any] | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        name: str = "",
        *,
        _uid: str = "",
    ) -> None:
        del device
        if init is None:
            init = 0.0
        if isinstance(init, list):
            init = np.array(init, np.float32)
        if shape is None and not isinstance(init, np.ndarray | float | int | np.number):
            message = "A Parameter needs a shape unless init is a number or an array."
            raise ValueError(message)
        dims = np.shape(init) if shape is None else _as_shape(shape)  # type: ignore[arg-type]
        super().__init__(
            dims,
            dtype or _float_type(init),
            kind=Kind.PARAMETER,
            name=name,
            batched=False,
            needs_gradient=True,
            uid=_uid,
        )
        use_default_device()
        self._init = _settled(init)
        self._infer(dims)

    @property
    def value(self) -> npt.NDArray[Any]:
        """A copy of the current value."""
        return self._tensor.detach().cpu().numpy().copy(order="C")

    @value.setter
    def value(self, array: npt.ArrayLike) -> None:
        new = np.asarray(array, self.dtype)
        if new.shape != self.shape and new.size != 1:
            message = f"The parameter {self!r} cannot hold a value of shape {new.shape}."
            raise ValueError(message)
        with torch.no_grad():
            self._tensor.copy_(torch.from_numpy(np.ascontiguousarray(new)).expand(self.shape))

    def asarray(self) -> npt.NDArray[Any]:
        """Return a copy of the current value."""
        return self.value


@final
class Constant(Variable):
    """A value that stays.

    Args:
        value: A number or an array.
        shape: The value is repeated to this shape; None: as it is.
        dtype: numpy's `float32` or `float64`; taken from `value` when that is an array of one of
            them.
        device: Accepted; everything lives on the default device.
        name: A user's name for it.
    """

    def __init__(
        self,
        value: npt.ArrayLike,
        shape: Shape | int | None = None,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
        name: str = "",
        *,
        _uid: str = "",
    ) -> None:
        del device
        array = np.asarray(value, dtype or _float_type(value))
        dims = array.shape if shape is None else _as_shape(shape)
        super().__init__(dims, array.dtype, kind=Kind.CONSTANT, name=name, batched=False, uid=_uid)
        use_default_device()
        self._init = array
        self._infer(dims)

    @property
    def value(self) -> npt.NDArray[Any]:
        """A copy of the value."""
        return self._tensor.detach().cpu().numpy().copy(order="C")

    def asarray(self) -> npt.NDArray[Any]:
        """Return a copy of the value."""
        return self.value


def _next_uid(prefix: str) -> str:
    return f"{prefix}{next(_UIDS)}"


def _as_shape(shape: "int | Iterable[int]") -> Shape:
    return (
        (int(shape),) if isinstance(shape, int | np.integer) else tuple(int(dim) for dim in shape)
    )


def _float_type(value: Any) -> npt.DTypeLike:
    return np.float64 if isinstance(value, np.ndarray) and value.dtype == np.float64 else np.float32


def _type_name(dtype: np.dtype[Any]) -> str:
    return _NAMES[dtype]


def _dimension(dim: int) -> str:
    return {FreeDimension: "*", InferredDimension: "?"}.get(dim, str(dim))


__getattr__ = absent(__name__)
