"""What users give to a function, as tensors on the device, and back."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from cntk._layout import Layout, Packed
from cntk._sparse import SparseRows, from_scipy, is_scipy
from cntk.core import Value
from cntk.device import use_default_device
from cntk.io import MinibatchData
from cntk.variables import Variable


def named(arguments: Sequence[Variable], given: Any, who: str) -> dict[Variable, Any]:
    """Return which argument gets what.

    Args:
        arguments: The function's.
        given: A dictionary with variables or their names as keys, or the value of the only
            argument.
        who: The function, for messages.

    Raises:
        ValueError: A value has no argument, or an argument no value.
    """
    if given is None:
        given = {}
    if not isinstance(given, Mapping):
        if len(arguments) != 1:
            message = (
                f"{who} has {len(arguments)} arguments: give a dictionary with a value for each."
            )
            raise ValueError(message)
        return {arguments[0]: given}
    by_name = {v.name or v.uid: v for v in arguments}
    values: dict[Variable, Any] = {}
    for key, value in given.items():
        variable = by_name.get(key) if isinstance(key, str) else getattr(key, "output", key)
        if not isinstance(variable, Variable):
            message = f"{who} has no argument '{key}'; it has {', '.join(by_name) or 'none'}."
            raise ValueError(message)
        values[variable] = value
    return values


def feed(values: Mapping[Variable, Any]) -> dict[Variable, Any]:
    """Return the values as tensors of shape (batch,) + the variable's shape, sequences packed.

    Raises:
        ValueError: A value does not have the variable's shape.
    """
    return {variable: _fed(variable, value) for variable, value in values.items()}


def arrays(value: Any) -> Any:
    """Return a result as users get it: an array, or for sequences a list with one for each."""
    if not isinstance(value, Packed):
        value = value.detach()
        return (value.to_dense() if value.is_sparse else value).cpu().numpy()
    listed = value.values.detach().index_select(0, value.layout.to_listed).cpu().numpy()
    return [part.copy() for part in np.split(listed, value.layout.starts[1:-1])]


def _fed(variable: Variable, value: Any) -> Any:
    if variable._sequence is not None:
        return _sequences(variable, value)
    if isinstance(value, Value):
        value = value._samples
    if variable.is_sparse:
        return _sparse(variable, value)
    return _tensor(variable, value)


def _tensor(variable: Variable, value: Any) -> torch.Tensor:
    device = use_default_device()._torch
    if isinstance(value, MinibatchData):
        if value._counts is not None and variable._sequence is None and (value._counts != 1).any():
            message = (
                f"The minibatch's sequences have several samples each, but '{variable!r}' has no "
                "sequence axis."
            )
            raise ValueError(message)
        if value.is_sparse:
            return _read_rows(variable, value).dense(variable.shape)
        tensor = value._tensor.to(device, non_blocking=True).to(variable._torch_type)
        if math.prod(value._tensor.shape[1:]) != math.prod(variable.shape):
            shape = tuple(value._tensor.shape[1:])
            raise _mismatch(shape[1:] if shape[:1] == (1,) else shape, variable)
        return tensor.reshape(-1, *variable.shape)
    array = _array(variable, value, 5)
    rank = len(variable.shape)
    if array.ndim == rank and variable._batched and array.shape == variable.shape:
        array = array[None]
    if array.shape[array.ndim - rank :] != variable.shape or array.ndim != rank + variable._batched:
        raise _mismatch(array.shape, variable)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


def _array(variable: Variable, value: Any, level: int) -> npt.NDArray[Any]:
    array = np.asarray(value)
    if array.dtype != variable.dtype:
        if isinstance(value, np.ndarray):
            warnings.warn(
                f"your data is of type '{array.dtype}', but your input variable (uid "
                f"'{variable.uid}') expects "
                f"'{variable.dtype}'. Please convert your data beforehand to speed up training.",
                stacklevel=level,
            )
        array = array.astype(variable.dtype)
    return array


def _sequences(variable: Variable, value: Any) -> Packed:
    """Pack sequences that stand one behind the other, or in a list."""
    if isinstance(value, Packed):
        return value
    if isinstance(value, MinibatchData):
        layout = Layout.of(value._lengths())
        if not value.is_sparse:
            return Packed(_tensor(variable, value).index_select(0, layout.to_packed), layout)
        rows = _read_rows(variable, value)
    elif isinstance(value, Value):
        return _sequences(variable, value._sequences)
    else:
        listed = _listed(variable, value)
        layout = Layout.of([len(part) for part in listed])
        if any(isinstance(part, SparseRows) for part in listed):
            rows = SparseRows.joined([_sparse(variable, part) for part in listed])
        elif variable.is_sparse:
            rows = SparseRows.of(np.concatenate(listed))
        else:
            whole = torch.from_numpy(np.concatenate(listed)).to(use_default_device()._torch)
            return Packed(whole.index_select(0, layout.to_packed), layout)
    packed = rows.index_select(0, layout.to_packed)
    return Packed(packed if variable.is_sparse else packed.dense(), layout)


def _listed(variable: Variable, value: Any) -> list[Any]:
    """Return for each sequence its steps, shape (steps,) + the variable's."""
    rank = len(variable.shape)
    if isinstance(value, tuple) and len(value) == 2 and isinstance(value[1], list):
        value, fresh = value
        if not all(fresh):
            message = "Sequences that go on from the minibatch before are not provided."
            raise NotImplementedError(message)
    if is_scipy(value):
        value = [value]
    if isinstance(value, np.ndarray):
        whole = _array(variable, value, 6)
        while whole.ndim < rank + 2:
            whole = whole[None]
        if whole.shape[2:] != variable.shape:
            raise _mismatch(np.shape(value), variable)
        return list(whole)
    parts: list[Any] = []
    for i, part in enumerate(value):
        if is_scipy(part):
            parts.append(from_scipy(part, variable.shape, variable._torch_type))
            continue
        if isinstance(part, SparseRows):
            parts.append(part)
            continue
        steps = _array(variable, part, 6)
        if steps.shape == variable.shape:
            steps = steps[None]
        if steps.ndim != rank + 1 or steps.shape[1:] != variable.shape:
            given, wanted = (" x ".join(map(str, s)) for s in (steps.shape, variable.shape))
            message = (
                f"Value::Create: The shape '[{given}]' of sequence #{i} is not compatible with the "
                f"sample shape '[{wanted}]'."
            )
            raise ValueError(message)
        if not len(steps):
            message = "The first entry of a Value mask must be Valid or SequenceBegin"
            raise RuntimeError(message)
        parts.append(steps)
    return parts


def _sparse(variable: Variable, value: Any) -> SparseRows:
    """Return the samples of a sparse variable."""
    if isinstance(value, MinibatchData):
        return _read_rows(variable, value)
    if isinstance(value, SparseRows):
        return value.on(use_default_device()._torch, variable._torch_type).shaped(variable.shape)
    if is_scipy(value):
        return from_scipy(value, variable.shape, variable._torch_type)
    if isinstance(value, list) and value and is_scipy(value[0]):
        parts = [from_scipy(part, variable.shape, variable._torch_type) for part in value]
        return SparseRows.joined(parts)
    return SparseRows.of(_tensor(variable, value).cpu().numpy())


def _read_rows(variable: Variable, data: MinibatchData) -> SparseRows:
    rows = data._rows.on(use_default_device()._torch, variable._torch_type)
    return rows.shaped(variable.shape)


def _mismatch(shape: tuple[int, ...], variable: Variable) -> ValueError:
    given, wanted = (" x ".join(map(str, dims)) for dims in (shape, variable.shape))
    return ValueError(
        f"The trailing dimensions of the Value shape '[{given}]' do not match the Variable "
        f"'{variable!r}' shape "
        f"'[{wanted}]'."
    )


def samples(values: Mapping[Variable, Any]) -> int:
    """Return how many samples a minibatch has."""
    counts = {
        value.num_samples if isinstance(value, MinibatchData) else len(value)
        for value in values.values()
    }
    return max(counts, default=0)
