"""A vector as several heads: (N, T, heads * d) <-> (N, heads, T, d).

Head h owns the elements h * d to (h + 1) * d - 1 of a vector.  ``Attention`` and
``RotaryEmbedding`` take both forms, as in ONNX.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["join_heads", "split_heads"]

Array = NDArray[Any]


def split_heads(op: str, name: str, x: Array, num_heads: int) -> Array:
    """Return ``x`` as (N, heads, T, d): itself if it has 4 axes, else its heads apart.

    >>> split_heads("Attention", "q", np.zeros((1, 5, 6)), 3).shape
    (1, 3, 5, 2)
    """
    if x.ndim == 4:
        if num_heads not in (0, x.shape[1]):
            raise ValueError(f"{op}: {name} has {x.shape[1]} heads, its attribute says {num_heads}")
        return x
    if x.ndim != 3 or num_heads < 1 or x.shape[2] % num_heads:
        raise ValueError(
            f"{op}: {name} must be (N, heads, T, d), or (N, T, heads * d) with the number of heads "
            f"as an attribute, got {x.shape} and {num_heads}"
        )
    n, t, width = x.shape
    return x.reshape(n, t, num_heads, width // num_heads).swapaxes(1, 2)


def join_heads(x: Array) -> Array:
    """Return (N, heads, T, d) as (N, T, heads * d).

    >>> join_heads(np.zeros((1, 3, 5, 2))).shape
    (1, 5, 6)
    """
    n, heads, t, d = x.shape
    return np.ascontiguousarray(x.swapaxes(1, 2)).reshape(n, t, heads * d)
