"""Values: minibatch data as an object of its own."""

from collections.abc import Sequence
from typing import Any, Final, final

import numpy as np
import numpy.typing as npt

from cntk._absent import absent
from cntk._sparse import SparseRows, is_scipy
from cntk.device import DeviceDescriptor, use_default_device
from cntk.variables import Shape, Variable, _as_shape

_SKIP: Final = 2**32 - 1


@final
class Value:
    """A minibatch of samples or sequences.

    Args:
        batch: An array of shape (batch,) + shape or (batch, steps) + shape, or a list with an array
            (or a scipy CSR matrix) for each sequence.
        seq_starts: Whether each sequence begins here; only True is provided.
        device: Accepted; values go to the default device when they are used.
    """

    ONE_HOT_SKIP: Final = _SKIP
    """As an index: a vector of zeros."""

    def __init__(
        self, batch: Any, seq_starts: Sequence[bool] | None = None, device: Any = None
    ) -> None:
        del device
        if seq_starts is not None and not all(seq_starts):
            message = "Sequences that go on from the minibatch before are not provided."
            raise NotImplementedError(message)
        self._batch = batch

    @staticmethod
    def create(
        var: Variable,
        data: Any,
        seq_starts: Sequence[bool] | None = None,
        device: Any = None,
        read_only: bool = False,
    ) -> "Value":
        """Return data for a variable as a value.

        Args:
            var: The input the data are for.
            data: An array, or a list with an array or scipy CSR matrix for each sequence.
            seq_starts: As in the constructor.
            device: Accepted.
            read_only: Accepted.
        """
        del read_only
        asked: object = var
        if not isinstance(asked, Variable):
            message = f'Variable expected, but got "{type(var)}"'
            raise TypeError(message)
        if isinstance(data, list):
            data = [part if is_scipy(part) else np.asarray(part, var.dtype) for part in data]
        elif not is_scipy(data):
            data = np.asarray(data, var.dtype)
        return Value(data, seq_starts, device)

    @staticmethod
    def one_hot(
        batch: Any,
        num_classes: int | Shape,
        dtype: npt.DTypeLike | None = None,
        device: Any = None,
    ) -> "Value":
        """Return one-hot vectors.

        Args:
            batch: Indices: a list of lists, one for each sequence, or a list of numbers, one for
                each sample; `ONE_HOT_SKIP` gives zeros.
            num_classes: How long each vector is, or the shape of a sample, whose last axis is the
                one-hot one.
            dtype: numpy's `float32` or `float64`.
            device: Accepted.

        Raises:
            ValueError: The indices are no integers.
        """
        shape = _as_shape(num_classes)
        if isinstance(batch, np.ndarray):
            batch = batch.tolist()
        elif not isinstance(batch, list):
            message = "input must be a list"
            raise ValueError(message)
        listed = [part.tolist() if isinstance(part, np.ndarray) else part for part in batch]
        samples = bool(listed) and not isinstance(listed[0], list)
        sequences = [listed] if samples else listed
        if not sequences or not sequences[0]:
            message = "input must be a list of list of integers"
            raise ValueError(message)
        if not isinstance(sequences[0][0], int):
            message = (
                "supplied data to one_hot() must be of type integer and not "
                f'"{type(sequences[0][0])}" since it is index data.'
            )
            raise ValueError(message)
        rows = [_one_hot(part, shape, dtype or np.float32) for part in sequences]
        return Value(rows[0] if samples else rows, None, device)

    @property
    def _samples(self) -> Any:
        return self._batch

    @property
    def _sequences(self) -> Any:
        if isinstance(self._batch, SparseRows):
            return [self._batch]
        return self._batch

    @property
    def is_sparse(self) -> bool:
        """Whether zeros are left out."""
        first = self._batch[0] if isinstance(self._batch, list) and self._batch else self._batch
        return is_scipy(first) or isinstance(first, SparseRows)

    @property
    def shape(self) -> Shape:
        """(batch,) + shape, or (batch, longest sequence) + shape."""
        batch = self._batch
        if isinstance(batch, list):
            sample = batch[0].shape if isinstance(batch[0], SparseRows) else batch[0].shape[1:]
            return (len(batch), max(map(_steps, batch)), *sample)
        return (len(batch), *batch.shape) if isinstance(batch, SparseRows) else tuple(batch.shape)

    @property
    def mask(self) -> npt.NDArray[np.float32]:
        """For each sequence 2 at its first step, 1 at others, 0 behind its end."""
        if not isinstance(self._batch, list):
            mask = np.ones(self.shape[:2], np.float32)
            mask[:, 0] = 2
            return mask
        count, longest = self.shape[:2]
        mask = np.zeros((count, longest), np.float32)
        for row, part in zip(mask, self._batch, strict=True):
            row[: _steps(part)] = 1
        mask[:, 0] = 2
        return mask

    @property
    def data(self) -> "Value":
        """The same values."""
        return self

    @property
    def device(self) -> DeviceDescriptor:
        """Where everything is computed."""
        return use_default_device()

    @property
    def dtype(self) -> "np.dtype[Any]":
        """The values' type."""
        first = self._batch[0] if isinstance(self._batch, list) else self._batch
        if isinstance(first, SparseRows):
            return np.dtype(str(first.values.dtype).removeprefix("torch."))
        own: np.dtype[Any] = np.dtype(first.dtype)
        return own

    def asarray(self) -> npt.NDArray[Any]:
        """Return the values, gaps behind the ends of shorter sequences filled with zeros."""
        if not isinstance(self._batch, list):
            return _dense(self._batch)
        whole = np.zeros(self.shape, self.dtype)
        for row, part in zip(whole, self._batch, strict=True):
            row[: _steps(part)] = _dense(part)
        return whole

    def as_sequences(self, variable: Variable | None = None) -> list[Any]:
        """Return an array for each sequence.

        Args:
            variable: Accepted.
        """
        del variable
        if isinstance(self._batch, list):
            return [_dense(part) for part in self._batch]
        return list(_dense(self._batch))

    def __len__(self) -> int:
        return self.shape[0]


def _one_hot(indices: list[int], shape: Shape, dtype: npt.DTypeLike) -> SparseRows:
    columns = np.array(indices, np.int64)
    present = columns != _SKIP
    starts = np.concatenate([[0], np.cumsum(present)])
    columns = columns[present]
    return SparseRows.from_arrays(starts, columns, np.ones(len(columns), dtype), shape)


def _steps(part: Any) -> int:
    return len(part) if isinstance(part, SparseRows) else int(part.shape[0])


def _dense(part: Any) -> npt.NDArray[Any]:
    if isinstance(part, SparseRows):
        return part.dense().cpu().numpy()
    return np.asarray(part.todense() if is_scipy(part) else part)


def asarray(value: Any, dtype: npt.DTypeLike | None = None) -> npt.NDArray[Any]:
    """Return a value, or anything numpy understands, as one array."""
    whole = value.asarray() if hasattr(value, "asarray") else np.asarray(value)
    if whole.dtype == object:
        message = f"could not convert instance of type {type(value)} to an array"
        raise ValueError(message)
    made: npt.NDArray[Any] = whole if dtype is None else whole.astype(dtype)
    return made


def asvalue(variable: Variable, data_array: Any) -> Value:
    """Return arrays as a value for a variable."""
    return Value.create(variable, data_array)


__getattr__ = absent(__name__)
