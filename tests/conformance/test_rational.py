"""The exact roundings, against the processor's own and against the definitions' consequences."""

import math
import struct
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant_conformance.rational import (
    ROUNDING_RULES,
    add_f32,
    divide,
    float32,
    float64,
    fused,
    multiply,
    round_exact,
)

rules = st.sampled_from(ROUNDING_RULES)
fractions = st.one_of(
    st.fractions(max_denominator=1000),
    st.integers(-1000, 1000).map(lambda k: Fraction(2 * k + 1, 2)),  # ties
)
any_f32 = st.floats(width=32)


def same(a: float, b: float) -> bool:
    """Equal bits, any NaN being one NaN."""
    return (math.isnan(a) and math.isnan(b)) or struct.pack("<d", a) == struct.pack("<d", b)


@given(value=fractions, rule=rules)
def test_a_rounded_number_is_one_of_its_two_neighbours(value: Fraction, rule: str) -> None:
    got = round_exact(value, rule)
    assert abs(got - value) < 1, f"{rule}({value}) = {got} skips an integer"
    if rule.startswith("half_"):
        assert abs(got - value) <= Fraction(1, 2), f"{rule}({value}) = {got} is not the nearest"


@pytest.mark.parametrize(
    ("rule", "ties"),
    [  # of -2.5, -1.5, -0.5, 0.5, 1.5, 2.5
        ("half_even", [-2, -2, 0, 0, 2, 2]),
        ("half_away", [-3, -2, -1, 1, 2, 3]),
        ("half_up", [-2, -1, 0, 1, 2, 3]),
        ("half_down", [-3, -2, -1, 0, 1, 2]),
        ("toward_zero", [-2, -1, 0, 0, 1, 2]),
        ("floor", [-3, -2, -1, 0, 1, 2]),
        ("ceil", [-2, -1, 0, 1, 2, 3]),
    ],
)
def test_ties_go_where_the_name_says(rule: str, ties: list[int]) -> None:
    got = [round_exact(Fraction(k, 2), rule) for k in (-5, -3, -1, 1, 3, 5)]
    assert got == ties, f"{rule} sends the ties to {got}"


def test_an_unknown_rule_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"half_even.*got 'nearest'"):
        round_exact(Fraction(1), "nearest")


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_float32_is_the_processors_conversion(value: float) -> None:
    with np.errstate(over="ignore", under="ignore"):
        expected = float(np.float32(value))
    got = float32(Fraction(value)) if value else value  # a fraction has no -0.0
    assert same(got, expected), f"float32({value!r}) = {got!r}, the processor says {expected!r}"


finite_f32 = st.floats(width=32, allow_nan=False, allow_infinity=False)


@given(x=finite_f32, y=finite_f32, z=finite_f32)
def test_fused_is_the_sum_of_fractions_rounded_once(x: float, y: float, z: float) -> None:
    expected = float32(Fraction(x) * Fraction(y) + Fraction(z))
    assert same(fused(x, y, z), expected), f"fused({x!r}, {y!r}, {z!r})"


def test_fused_keeps_what_two_roundings_lose() -> None:
    x = 1 + 2.0**-12
    assert fused(x, x, -1.0) - (multiply(x, x) - 1.0) == 2.0**-24, "the last bit of the square"
    assert same(fused(-1.0, 1.0, 1.0), 0.0), "an exact zero is positive"


@given(k=st.integers(0, 2**24), e=st.integers(-149, 104), quarter=st.integers(0, 3))
def test_float32_is_the_nearest_float(k: int, e: int, quarter: int) -> None:
    """Of the floats k 2^e and (k + 1) 2^e around a value the nearer is chosen, at ties the even."""
    value = (k + Fraction(quarter, 4)) * Fraction(2) ** e
    got = float32(value)
    if k >= 2**23 or e == -149:  # only then are the two neighbours
        up = quarter == 3 or (quarter == 2 and k % 2 == 1)
        expected = (k + up) * Fraction(2) ** e
        if expected < 2**128:
            assert Fraction(got) == expected, f"float32({value}) = {got!r}, not {expected}"


def test_float32_at_its_edges() -> None:
    largest = (2 - Fraction(1, 2**23)) * 2**127
    cases = {
        largest: float(largest),
        largest + Fraction(2) ** 103 - 1: float(largest),  # below the tie with 2^128
        largest + Fraction(2) ** 103: math.inf,  # the tie: 2^128 is even
        Fraction(1, 2**149): 2.0**-149,
        Fraction(1, 2**150): 0.0,  # a tie with zero
        Fraction(3, 2**150): 2.0**-148,  # a tie between 1 and 2 smallest units
        Fraction(-1, 2**151): -0.0,
        Fraction(0): 0.0,
    }
    for value, expected in cases.items():
        assert same(float32(value), expected), f"float32({value}) = {float32(value)!r}"


@given(numerator=st.integers(-(10**30), 10**30), denominator=st.integers(1, 10**30))
def test_float64_is_pythons_true_division(numerator: int, denominator: int) -> None:
    expected = numerator / denominator  # correctly rounded, says the language reference
    got = float64(Fraction(numerator, denominator))
    assert got == expected, f"float64({numerator}/{denominator}) = {got!r}, not {expected!r}"


@given(x=any_f32, y=any_f32)
def test_float32_arithmetic_is_the_processors(x: float, y: float) -> None:
    with np.errstate(all="ignore"):
        a, b = np.float32(x), np.float32(y)
        for name, got, expected in (
            ("divide", divide(x, y), float(a / b)),
            ("multiply", multiply(x, y), float(a * b)),
            ("add", add_f32(x, y), float(a + b)),
        ):
            assert same(got, expected), f"{name}({x!r}, {y!r}) = {got!r}, not {expected!r}"


@given(x=st.floats(), y=st.floats())
def test_float64_arithmetic_is_the_processors(x: float, y: float) -> None:
    with np.errstate(all="ignore"):
        a, b = np.float64(x), np.float64(y)
        for name, got, expected in (
            ("divide", divide(x, y, bits=64), float(a / b)),
            ("multiply", multiply(x, y, bits=64), float(a * b)),
        ):
            assert same(got, expected), f"{name}({x!r}, {y!r}) = {got!r}, not {expected!r}"


def test_other_widths_are_refused() -> None:
    with pytest.raises(ValueError, match="bits must be 16, 32 or 64; got 8"):
        divide(1.0, 3.0, bits=8)
