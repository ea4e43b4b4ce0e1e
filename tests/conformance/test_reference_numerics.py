"""The exact oracle judges ``refquant.numerics``: rounding rules and fixed point."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refquant.numerics import fixedpoint, rounding
from refquant.numerics.requantize import requantize
from refquant_conformance import oracle, strategies
from refquant_conformance.rational import ROUNDING_RULES

int32s = st.one_of(
    st.integers(-(2**31), 2**31 - 1),
    st.sampled_from([-(2**31), 2**31 - 1, 0, 1, -1, 2**30, -(2**30)]),
)


@pytest.mark.parametrize("rule", ROUNDING_RULES)
@given(x=strategies.floats_near_ties(scale=1.0, allow_nan=False))
@example(x=0.49999997)
@example(x=-0.49999997)
@example(x=2.0**23 - 0.5)
def test_rounding_is_the_rules_definition(rule: str, x: float) -> None:
    got = float(rounding.round_to_integer(np.float32(x), rule=rule))
    expected = x if math.isinf(x) else float(oracle.round_exact(Fraction(x), rule))
    assert got == expected, f"{rule}({x!r}) = {got!r}, exactly {expected!r}"


def test_every_rule_has_an_oracle() -> None:
    assert set(rounding.ROUNDING) == set(ROUNDING_RULES), f"{sorted(rounding.ROUNDING)}"


@given(
    multiplier=st.one_of(strategies.multipliers(), strategies.multipliers(low=1.0, high=2.0**20))
)
@example(multiplier=0.0)
@example(multiplier=math.nextafter(1.0, 0.0))
def test_quantize_multiplier_is_the_oracles(multiplier: float) -> None:
    m, shift = fixedpoint.quantize_multiplier(multiplier)
    expected = oracle.quantize_multiplier_exact(multiplier)
    assert (int(m), int(shift)) == expected, f"{multiplier!r} -> {(int(m), int(shift))}"


@given(a=int32s, b=int32s)
@example(a=-(2**31), b=-(2**31))
def test_srdhm_is_one_rounding_of_the_product(a: int, b: int) -> None:
    expected = min(oracle.round_exact(Fraction(a * b, 2**31), "half_up"), 2**31 - 1)
    assert int(fixedpoint.srdhm(a, b)) == expected, f"SRDHM({a}, {b})"


@given(x=int32s, e=st.integers(0, 31), near=st.integers(-2, 2))
def test_divisions_by_powers_of_two_round_as_they_say(x: int, e: int, near: int) -> None:
    tie = (x >> e << e) + ((1 << e) >> 1) + near  # at and beside a tie
    for value in (x, min(max(tie, -(2**31)), 2**31 - 1)):
        exact = Fraction(value, 2**e)
        got = int(fixedpoint.rounding_divide_by_pot(value, e))
        assert got == oracle.round_exact(exact, "half_away"), f"RDBPOT({value}, {e}) = {got}"
        got = int(fixedpoint.rounding_shift_right(value, e))
        assert got == oracle.round_exact(exact, "half_up"), f"VRSHL({value}, -{e}) = {got}"


@pytest.mark.parametrize("mode", ["float_rne", "gemmlowp_double", "neon_double", "single"])
@given(multiplier=strategies.multipliers(low=2.0**-31, high=0.5), data=st.data())
def test_requantize_is_the_oracles(mode: str, multiplier: float, data: st.DataObject) -> None:
    if mode == "float_rne":
        multiplier = oracle.float32(Fraction(multiplier))
    acc = data.draw(strategies.accumulators(multiplier=multiplier), label="acc")
    got = int(requantize(acc, multiplier, mode=mode))
    expected = oracle.requantize_exact(acc, multiplier, mode=mode)
    assert got == expected, f"{mode}({acc}, {multiplier!r}) = {got}, exactly {expected}"


@pytest.mark.slow
@pytest.mark.parametrize("mode", ["float_rne", "gemmlowp_double", "neon_double", "single"])
def test_requantize_on_every_accumulator_of_16_bits(mode: str) -> None:
    acc = np.arange(-(2**15), 2**15)
    for multiplier in (0.25, 0.0375, math.nextafter(2.0**-4, 0.0)):
        real = oracle.float32(Fraction(multiplier)) if mode == "float_rne" else multiplier
        got = requantize(acc, real, mode=mode).tolist()
        expected = [oracle.requantize_exact(a, real, mode=mode) for a in acc.tolist()]
        assert got == expected, f"{mode}, multiplier {real!r}"
