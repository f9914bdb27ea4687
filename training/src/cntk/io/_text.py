"""Sequences as lines of the CNTK text format."""

from collections.abc import Mapping
from typing import Any

import numpy as np


def sequence_to_cntk_text_format(seq_idx: int, alias_tensor_map: Mapping[str, Any]) -> str:
    """Return the lines of one sequence.

    Args:
        seq_idx: The sequence's number, in front of each line.
        alias_tensor_map: Stream to its samples: an array of shape (steps,) + a sample's shape, or
            for each step a dictionary of index to value. Shorter streams end earlier.

    Raises:
        ValueError: A stream is neither.
    """
    streams = {name: _samples(alias_tensor_map[name]) for name in sorted(alias_tensor_map)}
    lines = []
    for step in range(max(map(len, streams.values()), default=0)):
        parts = [
            f"|{name} {samples[step]}" for name, samples in streams.items() if step < len(samples)
        ]
        lines.append(f"{seq_idx}\t{' '.join(parts)}")
    return "\n".join(lines)


def _samples(value: Any) -> list[str]:
    if isinstance(value, list) and value and all(isinstance(step, dict) for step in value):
        return [" ".join(f"{place}:{step[place]}" for place in sorted(step)) for step in value]
    try:
        array = np.asarray(value)
        numeric = array.dtype.kind in "biuf"
    except ValueError:
        numeric = False
    if not isinstance(value, np.ndarray | list) or not numeric:
        message = f'expected a tensor (dense) or list of dicts (sparse), but got "{type(value)}"'
        raise ValueError(message)
    return [" ".join(step.ravel().astype(str).tolist()) for step in array]
