"""The product of bytes: exact sums, one rounding of each factor; the whole walk is tested with its
lowering (tests/runtime/lower/test_dynamic_recurrent.py)."""

from typing import Any

import numpy as np
from numba import njit

from refquant_runtime.kernels.dynamic_recurrent import DYNAMIC_LSTM, products
from refquant_runtime.kernels.pointers import pointer
from tests.runtime.kernels.kernel_calls import Memory


@njit
def _call(block: Any, p: Any, at: Any, codes: Any, step: Any, zero: int, add: int, g: Any) -> None:
    products(pointer(block), p, at[0], at[1], at[2], 0, codes, len(codes), step, zero, add, g)


def test_products_are_exact_at_the_ends_of_the_codes() -> None:
    codes, w = np.array([0, 255, 255], np.uint8), np.array([[127, 127, -127], [1, 127, 127]], "i1")
    w = np.concatenate([w, w])  # four gates of one element
    consts = Memory()
    sums, scales = w.astype(np.int32).sum(1, dtype=np.int32), np.array([0.1, 0.3, 3, 7], np.float32)
    p = np.zeros(len(DYNAMIC_LSTM), np.int64)
    p[DYNAMIC_LSTM.index("hidden")] = 1
    places = {"w": w, "w_scale": scales, "w_sum": sums}
    for name, array in places.items():
        p[DYNAMIC_LSTM.index(name)] = consts.put(array)
    g, step, zero = np.ones(4, np.float32), np.float32(1 / 3), 7
    at = np.array([DYNAMIC_LSTM.index(name) for name in places])
    acc = (codes.astype(int) - zero) @ w.astype(int).T
    once = acc.astype(np.float32) * (step * scales)
    _call(consts.block, p, at, codes, step, zero, 0, g)
    assert g.tolist() == once.tolist(), "f32(f32(acc) f32(s sw))"
    _call(consts.block, p, at, codes, step, zero, 1, g)
    assert g.tolist() == (once + once).tolist(), "on top of what is there"
