"""Codes of every width, signed and not, wherever they lie in a byte, against NumPy."""

from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant_runtime.kernels.decode_rows import LANES, decode_row
from refquant_runtime.kernels.pointers import pointer

RNG = np.random.default_rng(0)


@njit
def decode(line: Any, scale: Any, zero: Any, out: Any, shift: int, bits: int, top: int) -> None:
    decode_row(
        pointer(line), pointer(scale), pointer(zero), pointer(out), len(out), np.int32(shift),
        np.int32((1 << bits) - 1), np.int32(top),
    )  # fmt: skip


@pytest.mark.parametrize("n", [LANES, 64])
@pytest.mark.parametrize("signed", [False, True])
@pytest.mark.parametrize(("bits", "shift"), [(8, 0), (4, 0), (4, 4), (2, 6)])
def test_one_row(bits: int, shift: int, signed: bool, n: int) -> None:
    line = RNG.integers(0, 256, n).astype(np.uint8)
    scale, zero = (RNG.standard_normal(n).astype(np.float32) for _ in range(2))
    codes = (line.astype(np.int32) >> shift) & ((1 << bits) - 1)
    if signed:
        codes -= (codes >> (bits - 1)) << bits
    out = np.zeros(n, np.float32)
    decode(line, scale, zero, out, shift, bits, 1 << (bits - 1) if signed else 0)
    expected = (codes.astype(np.float32) - zero) * scale
    assert out.tobytes() == expected.tobytes(), "one rounding each"
