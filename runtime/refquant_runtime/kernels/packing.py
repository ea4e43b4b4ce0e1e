r"""Weights in the order in which a tile reads them.

A tile walks down K with NR columns side by side.  One step takes four int8 rows of a column at
once, so four rows lie together ("c4"); the same layout serves every instruction set:

.. math::

    P[p, t\,kc + k, n, i] = W[t\,K_t + 4k + i,\ p\,NR + n],
    \quad kc = \lceil K_t / 4 \rceil                                       \tag{1}

with K split into ``taps`` equal parts of :math:`K_t` rows (one part for a matrix, one a kernel
position for a convolution), each padded with zero rows to a multiple of four, and N padded with
zero columns to a multiple of NR.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.kernels.pointers import aligned_empty

__all__ = ["pack_f32_weights", "pack_int8_weights"]


def pack_int8_weights(w: NDArray[np.int8], *, taps: int, nr: int) -> NDArray[np.uint8]:
    """Return ``w`` (K, N) int8 as panels ``[N / nr][taps * kc][nr][4]``, flat bytes: eq. (1).

    Raises ``ValueError`` when K is not a multiple of ``taps``.

    >>> w = np.arange(1, 7, dtype=np.int8).reshape(3, 2)
    >>> pack_int8_weights(w, taps=1, nr=2).tolist()
    [1, 3, 5, 0, 2, 4, 6, 0]
    """
    rows, columns = _shape(w, np.int8, taps, nr)
    per_tap, panels = rows // taps, -(-columns // nr)
    kc = -(-per_tap // 4)
    padded = np.zeros((taps, 4 * kc, panels * nr), np.int8)
    padded[:, :per_tap, :columns] = w.reshape(taps, per_tap, columns)
    order = padded.reshape(taps * kc, 4, panels, nr).transpose(2, 0, 3, 1)
    return _flat(order)


def pack_f32_weights(w: NDArray[np.float32], *, nr: int) -> NDArray[np.float32]:
    """Return ``w`` (K, N) float32 as panels ``[N / nr][K][nr]``, flat, 64-byte aligned.

    >>> w = np.arange(6, dtype=np.float32).reshape(2, 3)
    >>> pack_f32_weights(w, nr=2).tolist()
    [0.0, 1.0, 3.0, 4.0, 2.0, 0.0, 5.0, 0.0]
    """
    rows, columns = _shape(w, np.float32, 1, nr)
    panels = -(-columns // nr)
    padded = np.zeros((rows, panels * nr), np.float32)
    padded[:, :columns] = w
    return _flat(padded.reshape(rows, panels, nr).transpose(1, 0, 2)).view(np.float32)


def _shape(w: NDArray[np.generic], dtype: type, taps: int, nr: int) -> tuple[int, int]:
    """Check what both packers require and return (K, N)."""
    if w.ndim != 2 or w.dtype != dtype:
        raise ValueError(f"w must be a matrix of {dtype.__name__}, got {w.dtype} {w.shape}")
    if nr < 1:
        raise ValueError(f"nr must be at least 1, got {nr}")
    if taps < 1 or w.shape[0] % taps:
        raise ValueError(f"K must be a multiple of taps, got K {w.shape[0]} and taps {taps}")
    return w.shape[0], w.shape[1]


def _flat(order: NDArray[np.generic]) -> NDArray[np.uint8]:
    """Copy an array, in C order, to aligned bytes."""
    out = aligned_empty(order.nbytes)
    out.view(order.dtype).reshape(order.shape)[...] = order
    return out
