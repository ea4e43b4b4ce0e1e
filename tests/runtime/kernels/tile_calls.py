"""Calls tiles through ctypes: no numba between the test and the machine code."""

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime import isa
from refquant_runtime.kernels.tiles import Tile, f32_tiles_of, int8_tiles_of

_P, _N, _U = ctypes.c_void_p, ctypes.c_int64, ctypes.c_uint32
GUARD = 16
"""Elements around the result that a tile must leave alone."""


def runnable() -> tuple[str, ...]:
    """The instruction sets to test: where AVX512-VNNI runs, LLVM encodes AVX-VNNI's IR in EVEX."""
    names = isa.available()
    return (*names, "avxvnni") if "avx512vnni" in names and "avxvnni" not in names else names


INT8 = [tile for name in runnable() for tile in int8_tiles_of(name)]
F32 = list(dict.fromkeys(tile for name in runnable() for tile in f32_tiles_of(name)))


def run_int8(
    tile: Tile, a: NDArray[np.uint8], offs: NDArray[np.int32], kc: int, w: NDArray[np.uint8],
    flip: int, *, gap: int = 0,
) -> NDArray[np.int32]:  # fmt: skip
    """One panel of sums (MR, NR) for ``offs`` (taps, MR), its rows ``gap`` elements apart."""
    out, ldc = _surrounded(tile, gap, np.int32)
    function = ctypes.CFUNCTYPE(None, _P, _P, _N, _N, _P, _P, _N, _U)(tile.address)
    function(a.ctypes.data, offs.ctypes.data, len(offs), kc, w.ctypes.data,
             out[GUARD:].ctypes.data, ldc, flip)  # fmt: skip
    return _inside(out, tile, gap)


def run_f32(
    tile: Tile, a: NDArray[np.float32], offs: NDArray[np.int32], kc: int, w: NDArray[np.float32],
    *, gap: int = 0,
) -> NDArray[np.float32]:  # fmt: skip
    """One panel of sums (MR, NR) for ``offs`` (taps, MR), its rows ``gap`` elements apart."""
    out, ldc = _surrounded(tile, gap, np.float32)
    function = ctypes.CFUNCTYPE(None, _P, _P, _N, _N, _P, _P, _N)(tile.address)
    function(a.ctypes.data, offs.ctypes.data, len(offs), kc, w.ctypes.data,
             out[GUARD:].ctypes.data, ldc)  # fmt: skip
    return _inside(out, tile, gap)


def _surrounded(tile: Tile, gap: int, dtype: Any) -> tuple[NDArray[Any], int]:
    """Memory full of 77, and the ``ldc`` to pass: 0 says "no gap" too."""
    ldc = tile.nr + gap
    return np.full(GUARD + tile.mr * ldc + GUARD, 77, dtype), ldc if gap else 0


def _inside(out: NDArray[Any], tile: Tile, gap: int) -> NDArray[Any]:
    assert (out[:GUARD] == 77).all(), f"{tile.name} wrote before its result"
    assert (out[-GUARD:] == 77).all(), f"{tile.name} wrote past its result"
    rows = out[GUARD:-GUARD].reshape(tile.mr, tile.nr + gap)
    assert (rows[:, tile.nr :] == 77).all(), f"{tile.name} wrote between its rows"
    return rows[:, : tile.nr]
