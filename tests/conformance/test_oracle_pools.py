"""Means of codes by hand."""

import pytest

from refquant_conformance.oracle_pools import average_exact, mean_exact

ONE = (1.0, 0)


def test_ties_of_an_average() -> None:
    hows = ("float_multiplier", "half_away", "tosa_reciprocal", "dequantize")
    found = [average_exact([2, 3], 2, ONE, ONE, how=h, limits=(-128, 127)) for h in hows]
    assert found == [2, 3, 3, 2], f"2.5 becomes {found}"
    found = [average_exact([-2, -3], 2, ONE, ONE, how=h, limits=(-128, 127)) for h in hows]
    # The reciprocal is a little more than 1/2, so -2.5 is no tie for it.
    assert found == [-2, -3, -3, -2], f"-2.5 becomes {found}"


def test_an_odd_zero_point_added_early_moves_a_tie() -> None:
    x, y = (1.0, 0), (1.0, 1)
    found = [
        average_exact([2, 3], 2, x, y, how=how, limits=(-128, 127))
        for how in ("dequantize", "dequantize_zero_point_first")
    ]
    assert found == [3, 4], f"2.5 + 1 becomes {found}"


def test_unequal_ends_are_refused_by_who_has_none() -> None:
    for how in ("half_away", "tosa_reciprocal"):
        with pytest.raises(ValueError, match="equal"):
            average_exact([1], 1, ONE, (2.0, 0), how=how, limits=(0, 255))
    with pytest.raises(ValueError, match="no arithmetic"):
        average_exact([1], 1, ONE, ONE, how="unknown", limits=(0, 255))


def test_a_mean_of_equal_codes_is_the_code() -> None:
    hows = ("folded_multiplier", "float_zero_point", "rounded_zero_point", "float_multiplier")
    for how in (*hows, "rounded_zero_point_by_sixteen"):
        for code in (-128, -3, 0, 5, 127):
            got = mean_exact([code] * 7, (0.5, 3), (0.5, 3), how=how, limits=(-128, 127))
            assert got == code, f"{how}: the mean of {code} is {got}"
