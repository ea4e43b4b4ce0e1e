"""The product of bytes: exact sums that may wrap on the way, a factor and a bias a row.

The whole walk is tested with its lowering (tests/runtime/lower/test_static_recurrent.py).
"""

from typing import Any

import numpy as np
import pytest
from numba import njit

from refquant_runtime.kernels.pointers import pointer
from refquant_runtime.kernels.static_recurrent import STATIC_RECURRENT, products
from tests.runtime.kernels.kernel_calls import Memory


@njit
def _call(
    block: Any, p: Any, at: int, first: int, rows: int, codes: Any, zero: int, g: Any
) -> None:
    products(pointer(block), p, at, first, rows, codes, len(codes), zero, g)


@pytest.mark.parametrize("biased", [0, 1])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
def test_products_are_exact_at_the_ends_of_the_codes(dtype: str, biased: int) -> None:
    low, high = (0, 255) if dtype == "uint8" else (-128, 127)
    codes = np.array([low, high, high], dtype)
    w = np.array([[127, 127, -128], [1, 127, 127], [-128, -128, -128], [0, 0, 1]], "i1")
    consts, p = Memory(), np.zeros(len(STATIC_RECURRENT), np.int64)
    bias = np.array([0.3, -1e9, 7, 0.1], np.float32)
    factor = np.array([0.1, 0.3, 3, 1e-40], np.float32)
    sums = w.astype(np.int32).sum(1, dtype=np.int32)
    for name, array in {"r": w, "r_factor": factor, "r_sum": sums, "r_bias": bias}.items():
        p[STATIC_RECURRENT.index(name)] = consts.put(array)
    p[STATIC_RECURRENT.index("has_bias")] = biased
    zero = low + 7
    want = ((codes.astype(int) - zero) @ w.astype(int).T).astype(np.float32) * factor
    want = want + bias if biased else want
    g, at = np.full(3, 99, np.float32), STATIC_RECURRENT.index("r")
    _call(consts.block, p, at, 1, 3, codes, zero, g)
    assert g.tolist() == want[1:].tolist(), "rows from the second on, one rounding each"


def test_a_sum_that_wraps_on_the_way_is_right_in_the_end() -> None:
    """70,000 * 255 * 127 leaves int32; around a zero point of 254 the sum is small."""
    k = 70_000
    consts, p = Memory(1 << 17), np.zeros(len(STATIC_RECURRENT), np.int64)
    w = np.full((1, k), 127, np.int8)
    arrays = {"w": w, "w_factor": np.ones(1, np.float32), "w_bias": np.zeros(1, np.float32),
              "w_sum": w.astype(np.int32).sum(1, dtype=np.int32)}  # fmt: skip
    for name, array in arrays.items():
        p[STATIC_RECURRENT.index(name)] = consts.put(array)
    g, codes = np.zeros(1, np.float32), np.full(k, 255, np.uint8)
    _call(consts.block, p, STATIC_RECURRENT.index("w"), 0, 1, codes, 254, g)
    assert g.tolist() == [float(127 * k)], "modulo 2^32 is what the loader's proof needs"
