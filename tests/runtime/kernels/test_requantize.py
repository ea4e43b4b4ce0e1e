"""The epilogues against rational arithmetic: ties, negative accumulators, saturation."""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import example, given
from hypothesis import strategies as st
from numba import njit

from refquant_conformance.oracle import requantize_exact
from refquant_runtime.kernels.pointers import pointer
from refquant_runtime.kernels.requantize import (
    multiply_double,
    row_to_codes_double,
    row_to_codes_rne,
    row_to_f32,
)
from refquant_runtime.lower.fixedpoint import quantize_multiplier

accumulators = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)


@njit
def rne(acc: Any, seed: Any, m: Any, out: Any, zero: int, low: int, high: int) -> None:
    row_to_codes_rne(pointer(acc), pointer(seed), pointer(m), pointer(out), len(out), zero, low, high)  # fmt: skip # noqa: E501


@njit
def double(acc: Any, seed: Any, m: Any, s: Any, out: Any, zero: int, low: int, high: int) -> None:
    row_to_codes_double(
        pointer(acc), pointer(seed), pointer(m), pointer(s), pointer(out), len(out), zero, low, high
    )


@njit
def real(acc: Any, seed: Any, sums: Any, zero: int, x_scale: Any, w: Any, b: Any, out: Any,
         has_bias: int, low: Any, high: Any) -> None:  # fmt: skip
    row_to_f32(pointer(acc), pointer(seed), pointer(sums), zero, x_scale, pointer(w), pointer(b),
               pointer(out), len(out), has_bias, low, high)  # fmt: skip


@njit
def once(acc: int, m: int, shift: int) -> int:
    result: int = multiply_double(acc, m, shift)
    return result


@given(acc=accumulators, multiplier=st.sampled_from([0.5, 0.25, 1 / 3, 0.0375, 1e-9, 2.0**-31]))
@example(acc=-3, multiplier=0.5)
@example(acc=3, multiplier=0.5)
@example(acc=-(2**31), multiplier=0.5)
def test_double_rounding_is_that_of_the_oracle(acc: int, multiplier: float) -> None:
    m, shift = (int(part) for part in quantize_multiplier(np.array(multiplier)))
    expected = requantize_exact(acc, multiplier, mode="gemmlowp_double")
    assert once(acc, m, shift) == expected, f"{acc} * {multiplier}"


@given(acc=accumulators, seed=st.integers(-1000, 1000),
       multiplier=st.sampled_from([0.5, 0.25, 1 / 3, 0.0375, 2.0**-20]), zero=st.integers(-128, 127))  # fmt: skip # noqa: E501
@example(acc=5, seed=0, multiplier=0.5, zero=1)  # 2.5: to even, then the odd zero point
@example(acc=2**24 + 1, seed=0, multiplier=0.5, zero=0)  # float32 cannot hold the sum
def test_float_multiplier_rounds_half_to_even(
    acc: int, seed: int, multiplier: float, zero: int
) -> None:
    total = (acc + seed + 2**31) % 2**32 - 2**31
    m = np.float32(multiplier)
    product = np.float32(np.float32(total) * m)
    expected = min(max(round(Fraction(float(product))) + zero, -128), 127)
    out = np.zeros(1, np.uint8)
    rne(np.array([acc], np.int32), np.array([seed], np.int32), np.array([m]), out, zero, -128, 127)
    assert int(out.view(np.int8)[0]) == expected, f"({acc} + {seed}) * {multiplier} + {zero}"


def test_every_lane_and_tail_of_a_row() -> None:
    rng = np.random.default_rng(0)
    for n in (1, 7, 16, 31, 64, 65):
        acc = rng.integers(-70000, 70000, n).astype(np.int32)
        seed = rng.integers(-50, 50, n).astype(np.int32)
        m, s = quantize_multiplier(rng.uniform(0.0001, 0.9, n))
        out = np.zeros(n, np.uint8)
        double(acc, seed, m, s, out, 3, 5, 250)
        expected = [
            min(max(once(int(a) + int(b), int(c), int(d)) + 3, 5), 250)
            for a, b, c, d in zip(acc, seed, m, s, strict=True)
        ]
        assert out.tolist() == expected, f"n = {n}"


def test_dynamic_row_rounds_at_every_step_and_clamps() -> None:
    acc, seed = np.array([100, -100, 7], np.int32), np.zeros(3, np.int32)
    sums, w = np.array([2, 2, 0], np.int32), np.array([0.1, 0.1, 1 / 3], np.float32)
    bias, out = np.array([1, 1, -9], np.float32), np.zeros(3, np.float32)
    x_scale = np.float32(0.7)
    real(acc, seed, sums, 3, x_scale, w, bias, out, 1, np.float32(0), np.float32(np.inf))
    exact = (acc - 3 * sums).astype(np.float32) * (x_scale * w) + bias
    assert out.tolist() == np.maximum(exact, np.float32(0)).tolist(), f"{out} is not {exact}"
