"""The tiles as plain loops: what every CPU can run, and what the generated ones must equal.

Same arguments and same memory layouts as the generated tiles (see ``tiles``), with the tile's
shape as two more arguments.  Sums live in ``pc`` instead of registers.

The cast at every step is not decoration: numba widens ``int32 + int32`` to int64, which halves
the speed.  ``opaque`` hides the trip count of the innermost loop: LLVM would unroll sixteen known
iterations completely and then not vectorize them (4.5 instead of 33 GOPS, measured).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.pointers import as_i8, opaque

__all__ = ["f32_loops", "int8_loops"]


@njit(nogil=True)
def int8_loops(
    pa: Any, offs: Any, taps: int, kc: int, pw: Any, pc: Any, ldc: int, flip: int, mr: int,
    nr: int,
) -> None:  # fmt: skip
    """``pc[r, n] = sum over t, k, i of (pa[offs[t, r] + 4 k + i] ^ flip) * pw[t kc + k, n, i]``."""
    flip_byte = np.uint8(flip & 255)
    weights = as_i8(pw)
    columns = opaque(nr)
    pitch = ldc if ldc != 0 else nr
    for r in range(mr):
        for n in range(columns):
            pc[r * pitch + n] = np.int32(0)
    panel = 0
    for t in range(taps):
        for k in range(kc):
            for r in range(mr):
                row = np.int64(offs[t * mr + r]) + 4 * k
                a0 = np.int32(pa[row] ^ flip_byte)
                a1 = np.int32(pa[row + 1] ^ flip_byte)
                a2 = np.int32(pa[row + 2] ^ flip_byte)
                a3 = np.int32(pa[row + 3] ^ flip_byte)
                for n in range(columns):
                    w = panel + 4 * n
                    s = np.int32(a0 * np.int32(weights[w]))
                    s = np.int32(s + np.int32(a1 * np.int32(weights[w + 1])))
                    s = np.int32(s + np.int32(a2 * np.int32(weights[w + 2])))
                    s = np.int32(s + np.int32(a3 * np.int32(weights[w + 3])))
                    pc[r * pitch + n] = np.int32(pc[r * pitch + n] + s)
            panel += 4 * nr


@njit(nogil=True)
def f32_loops(
    pa: Any, offs: Any, taps: int, kc: int, pw: Any, pc: Any, ldc: int, mr: int, nr: int
) -> None:
    """``pc[r, n] = sum over t, k of pa[offs[t, r] + k] * pw[t kc + k, n]``, k ascending."""
    columns = opaque(nr)
    pitch = ldc if ldc != 0 else nr
    for r in range(mr):
        for n in range(columns):
            pc[r * pitch + n] = np.float32(0.0)
    panel = 0
    for t in range(taps):
        for k in range(kc):
            for r in range(mr):
                a = pa[np.int64(offs[t * mr + r]) + k]
                for n in range(columns):
                    product = np.float32(a * pw[panel + n])
                    pc[r * pitch + n] = np.float32(pc[r * pitch + n] + product)
            panel += nr
