"""Rows of a table: what turns tokens into vectors.

    y[i, ...] = table[i, ...]        i = indices + rows where an index is negative            (1)

Nothing is computed, so a row keeps its bits.  An index that names no row is an error: other
implementations clamp it, read what lies beside the table, or stop.

Left out: another axis than 0.

Source: ONNX ``Gather``; ``docs/spec/operators.md`` §7.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.ops.rescale import need_float32

__all__ = ["gather"]


def gather(table: NDArray[np.float32], indices: NDArray[Any]) -> NDArray[np.float32]:
    """Return ``table[indices]`` of shape (*indices.shape, *table.shape[1:]): eq. (1).

    ``table`` (V, ...) is float32, ``indices`` int32 in [-V, V - 1].

    >>> gather(np.array([[1, 2], [3, 4]], np.float32), np.array([[1, -2]], np.int32)).tolist()
    [[[3.0, 4.0], [1.0, 2.0]]]
    """
    need_float32("Gather", table=table)
    if table.ndim < 1 or indices.dtype != np.int32:
        raise ValueError(
            f"Gather: the table must have an axis and indices be int32, got {table.shape} and "
            f"{indices.dtype}"
        )
    rows = table.shape[0]
    if indices.size and not -rows <= indices.min() <= indices.max() < rows:
        raise ValueError(
            f"Gather: indices must be in [{-rows}, {rows - 1}], got {int(indices.min())} to "
            f"{int(indices.max())}; is it the model's own tokenizer?"
        )
    result: NDArray[np.float32] = table[indices]
    return result
