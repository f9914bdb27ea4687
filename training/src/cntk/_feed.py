"""What users give to a function, as tensors on the device."""

import math
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

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


def feed(values: Mapping[Variable, Any]) -> dict[Variable, torch.Tensor]:
    """Return the values as tensors of shape (batch,) + the variable's shape.

    Raises:
        ValueError: A value does not have the variable's shape.
    """
    return {variable: _tensor(variable, value) for variable, value in values.items()}


def _tensor(variable: Variable, value: Any) -> torch.Tensor:
    device = use_default_device()._torch
    if isinstance(value, MinibatchData):
        tensor = value._tensor.to(device, non_blocking=True).to(variable._torch_type)
        if math.prod(value.shape[1:]) != math.prod(variable.shape):
            shape = value.shape[1:]
            raise _mismatch(shape[1:] if shape[:1] == (1,) else shape, variable)
        return tensor.reshape(-1, *variable.shape)
    array = np.asarray(value)
    if array.dtype != variable.dtype:
        if isinstance(value, np.ndarray):
            warnings.warn(
                f"your data is of type '{array.dtype}', but your input variable (uid "
                f"'{variable.uid}') expects "
                f"'{variable.dtype}'. Please convert your data beforehand to speed up training.",
                stacklevel=4,
            )
        array = array.astype(variable.dtype)
    rank = len(variable.shape)
    if array.ndim == rank and variable._batched and array.shape == variable.shape:
        array = array[None]
    if array.shape[array.ndim - rank :] != variable.shape or array.ndim != rank + variable._batched:
        raise _mismatch(array.shape, variable)
    return torch.from_numpy(np.ascontiguousarray(array)).to(device)


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
