"""The products of a state's codes: exact sums, a factor and a bias a row.

The whole walk is tested with its lowering (tests/runtime/lower/test_coded_recurrent.py).
"""

from typing import Any

import numpy as np
import pytest
from numba import njit
from numpy.typing import NDArray

from refquant_runtime.kernels.abi import i32_at
from refquant_runtime.kernels.coded_recurrent import CODED_RECURRENT, encode, state_products
from refquant_runtime.kernels.packing import pack_int8_weights
from refquant_runtime.kernels.pointers import pointer
from refquant_runtime.kernels.tiles import SIGNED, int8_tile
from tests.runtime.kernels.kernel_calls import Memory

OFFSETS, SUMS, B = 0, 64, 64 + 4 * 4 * 64
"""Where the arena of a test has the table of rows, the sums of a tile, and b; then come codes."""


@njit
def _call(
    arena: Any, consts: Any, p: Any, end: int, codes: int, zero: int, scale: Any, b: Any
) -> None:
    base = pointer(arena)
    state_products(base, pointer(consts), p, 0, 0, end, codes, zero, scale, i32_at(base, OFFSETS),
                   i32_at(base, SUMS), pointer(b))  # fmt: skip


@njit
def _encode(p: Any, v: Any, codes: Any) -> Any:
    return encode(p, pointer(v), pointer(codes))


def _row(**fields: int) -> NDArray[np.int64]:
    p = np.zeros(len(CODED_RECURRENT), np.int64)
    for name, value in fields.items():
        p[CODED_RECURRENT.index(name)] = value
    return p


def _products(
    codes: NDArray[Any], r: NDArray[np.int8], zero: int, step: np.float32,
    scales: NDArray[np.float32], bias: NDArray[np.float32] | None,
) -> NDArray[np.float32]:  # fmt: skip
    """One gate after the other, for ``r`` (gates * n, n)."""
    n, consts = len(codes), Memory(1 << 18)
    tile = int8_tile("portable", n=n, m=1)
    gates = [pack_int8_weights(m.T.copy(), taps=1, nr=tile.nr) for m in r.reshape(-1, n, n)]
    kc, flip = -(-n // 4), SIGNED if codes.dtype == np.int8 else 0
    p = _row(
        hidden=n, gates=len(gates), weights=consts.put(np.concatenate(gates)), nr=tile.nr,
        panels=-(-n // tile.nr), panel_size=4 * kc * tile.nr, mr=tile.mr, kc=kc, tile=tile.address,
        scales=consts.put(scales), sums=consts.put(r.astype(np.int32).sum(1, dtype=np.int32)),
        flip=flip, has_bias=bias is not None, bias=0 if bias is None else consts.put(bias),
    )  # fmt: skip
    arena, b = np.full(B + n + 8, 77, np.uint8), np.full(len(r), 99, np.float32)
    arena[B : B + n] = codes.view(np.uint8)
    _call(arena, consts.block, p, len(gates), B, zero + (128 if flip else 0), step, b)
    return b


@pytest.mark.parametrize("biased", [False, True])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("n", [1, 3, 65])
def test_products_are_exact_at_the_ends_of_the_codes(n: int, dtype: str, biased: bool) -> None:
    low, high = (0, 255) if dtype == "uint8" else (-128, 127)
    rng = np.random.default_rng(n)
    codes, r = rng.choice([low, high], n).astype(dtype), rng.choice([-128, 1, 127], (3 * n, n))
    scales = rng.choice([0.1, 0.3, 3, 1e-40], 3 * n).astype(np.float32)
    bias = rng.choice([0.3, -1e9, 7], 3 * n).astype(np.float32) if biased else None
    zero, step = low + 7, np.float32(1 / 3)
    acc = (codes.astype(int) - zero) @ r.T
    want = acc.astype(np.float32) * (step * scales)
    want = want if bias is None else want + bias
    got = _products(codes, r.astype(np.int8), zero, step, scales, bias)
    assert got.tobytes() == want.tobytes(), "f32(f32(f32(acc) f32(s sr)) + bias), whole gates"


def test_the_zero_point_is_taken_off_a_sum() -> None:
    """Around 254, sums of raw codes are 255 times the exact ones."""
    n = 300
    r = np.full((n, n), 127, np.int8)
    ones = np.ones(n, np.float32)
    got = _products(np.full(n, 255, np.uint8), r, 254, np.float32(1), ones, None)
    assert set(got.tolist()) == {127.0 * n}, "one step above the zero point each"


def test_codes_are_of_the_rulers_or_of_the_states_own_range() -> None:
    v, codes = np.array([-0.5, 0, 1.0, 9.0], np.float32), np.zeros(4, np.uint8)
    one = int(np.float32(0.5).view(np.int32))
    ruled = _row(hidden=4, y_scale=one, y_zero=-3, low=-128, high=127, flip=SIGNED)
    made = _encode(ruled, v, codes)
    assert (float(made[0]), made[1]) == (0.5, 125), "a scale, and the zero point of codes + 128"
    assert codes.view(np.int8).tolist() == [-4, -3, -1, 15], "v / 0.5 - 3"
    made = _encode(_row(hidden=4, dynamic=1, high=255), v, codes)
    step = np.float32(9.5) / np.float32(255)
    assert (made[0], made[1]) == (step, 13), "from -0.5 to 9 in 255 steps"
    assert codes.tolist() == [0, 13, 40, 255], "the ends are codes"
