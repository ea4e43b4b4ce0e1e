"""Rescaling of 48-bit accumulators, against exact fractions."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refquant_runtime.kernels.int16_products import MODES, multiply_i64, rescaled
from refquant_runtime.lower.fixedpoint import quantize_multiplier

ACCUMULATORS = (0, 1, -1, 2**47 - 1, -(2**47), 98765432101, -3, 6, -6, 2**31)


@pytest.mark.parametrize("real", [0.25, 1e-6, 1e-12, 0.999999, 2.0**-17 * 3, 2.0**-30, 1e-5])
def test_int64_is_one_rounding_of_fifteen_bits(real: float) -> None:
    m, shift = (int(v) for v in quantize_multiplier(np.array(real)))
    reduced = min((m + (1 << 15)) >> 16, 32767)
    for acc in ACCUMULATORS:
        exact = math.floor(Fraction(acc * reduced, 1 << (15 - shift)) + Fraction(1, 2))
        assert multiply_i64(acc, m, shift) == exact, f"{acc} * {real}"


@pytest.mark.parametrize("mode", sorted(set(MODES)))
def test_modes_round_a_tie_each_in_its_way(mode: str) -> None:
    m, shift = (int(v) for v in quantize_multiplier(np.array(0.25)))
    found = [rescaled(MODES[mode], acc, m, shift, 0.25) for acc in (6, -6)]
    up = mode in ("tflite_int64", "neon_double")
    assert found == [2, -1 if up else -2], f"1.5 and -1.5 by {mode}"
