"""The modes of `requantize` in floating point saturate; their values are in test_requantize.py."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.numerics.requantize_float import (
    dyadic,
    float64_half_away,
    float_rne,
    float_zp_before_round,
    float_zp_before_round_f32,
)

ACC = np.array([-(2**31), -1, 0, 1, 2**31 - 1])


@pytest.mark.parametrize("mode", [dyadic, float64_half_away, float_rne])
def test_what_leaves_int32_saturates(mode: object) -> None:
    assert callable(mode), "a function"
    got = mode(ACC, np.array([3e9]) if mode is not dyadic else np.array([2.0**20]))
    assert got[[0, 2, 4]].tolist() == [-(2**31), 0, 2**31 - 1], "the ends of int32"
    assert got.dtype == np.int64, "wide enough to add a zero point"


def test_half_away_is_of_the_product_and_not_of_its_neighbour() -> None:
    """0.49999999999999994 is below one half: adding 1/2 and truncating would make it 1."""
    below = np.array([0.5 - 2.0**-54])
    assert float64_half_away(np.array([1, -1]), below).tolist() == [0, 0], "below the tie"
    for acc, m in ((5, 0.5), (-5, 0.5), (7, 1 / 3), (10**9, 0.123456789)):
        exact = Fraction(float(acc) * m)  # the product is rounded once, to float64
        away = int(abs(exact) + Fraction(1, 2)) * (1 if acc > 0 else -1)
        assert float64_half_away(np.array([acc]), np.array([m])).tolist() == [away], f"{acc} * {m}"


def test_an_odd_zero_point_moves_ties() -> None:
    got = float_zp_before_round(np.array([1, 3]), np.array([0.5]), np.array(1.0))
    assert got.tolist() == [1, 1], "1.5 is 2, 2.5 is 2; less 1"


def test_in_float32_the_sum_with_the_zero_point_makes_ties() -> None:
    """-87 m = -0.4999973, and 248.5000027 is no float32: 248.5 is the nearest."""
    m = np.array(np.float32(0.005747095), np.float64)
    assert float_zp_before_round(np.array([-87]), m, np.array(249.0)) == 0, "249 is the nearest"
    assert float_zp_before_round_f32(np.array([-87]), m, np.array(249.0)) == -1, "a tie, to 248"


def test_in_float32_what_leaves_int32_is_cast_as_x86_does() -> None:
    got = float_zp_before_round_f32(np.array([1, -1, 0]), np.array([3e9]), np.array(5.0))
    assert got.tolist() == [-(2**31) - 5, -(2**31) - 5, 0], "both ends become the least integer"
