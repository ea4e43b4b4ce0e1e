"""Rows of a table: what turns tokens into vectors, and moves elements along an axis.

    y[a, i, b] = x[a, indices[i], b]        + the length of the axis where an index is negative  (1)

Nothing is computed, so an element keeps its bits, reals and codes alike.  An index that names no
row is an error: other implementations clamp it, read what lies beside the table, or stop.

With constant indices this is every fixed movement along an axis: a nearest-neighbour resize, a
reflected border, every second element, a repetition.

Source: ONNX ``Gather``; ``docs/spec/operators.md`` §7 and §10.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["gather"]

Array = NDArray[Any]


def gather(table: Array, indices: Array, *, axis: int = 0) -> Array:
    """Return ``table`` with ``axis`` replaced by the axes of ``indices``: eq. (1).

    ``indices`` are int32 in [-V, V - 1], V the length of ``axis``; the dtype of ``table`` stays.

    >>> gather(np.array([[1, 2], [3, 4]], np.float32), np.array([[1, -2]], np.int32)).tolist()
    [[[3.0, 4.0], [1.0, 2.0]]]
    >>> gather(np.array([[1, 2]], np.int8), np.array([1, 1, 0], np.int32), axis=1).tolist()
    [[2, 2, 1]]
    """
    if table.ndim < 1 or indices.dtype != np.int32:
        raise ValueError(
            f"Gather: the table must have an axis and indices be int32, got {table.shape} and "
            f"{indices.dtype}"
        )
    if not -table.ndim <= axis < table.ndim:
        raise ValueError(f"Gather: axis must be one of the {table.ndim} of the table, got {axis}")
    rows = table.shape[axis]
    if indices.size and not -rows <= indices.min() <= indices.max() < rows:
        raise ValueError(
            f"Gather: indices must be in [{-rows}, {rows - 1}], got {int(indices.min())} to "
            f"{int(indices.max())}; is it the model's own tokenizer?"
        )
    return np.take(table, indices, axis)
