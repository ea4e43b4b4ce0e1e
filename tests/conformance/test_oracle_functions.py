"""The series against ``math``, whose last bits are worse, and by identities that are exact."""

import math
from fractions import Fraction

import pytest

from refquant_conformance.oracle_functions import FUNCTIONS, exponential, logarithm, once


@pytest.mark.parametrize("x", [-150, -20, -1.5, -1e-6, 0, 1e-6, 0.75, 3, 88])
def test_the_series_is_the_exponential(x: float) -> None:
    exact = exponential(Fraction(x))
    assert abs(float(exact / Fraction(math.exp(x))) - 1) < 2**-50, f"{float(exact)}"
    assert abs(exact * exponential(-Fraction(x)) - 1) < Fraction(1, 2**200), "e^x e^-x is not 1"


@pytest.mark.parametrize("x", [Fraction(1, 3), Fraction(1), Fraction(2), Fraction(10**30)])
def test_the_logarithm_is_the_inverse(x: Fraction) -> None:
    assert abs(exponential(logarithm(x)) / x - 1) < Fraction(1, 2**190), f"{float(logarithm(x))}"


def test_far_arguments_are_refused() -> None:
    with pytest.raises(ValueError, match="200"):
        exponential(Fraction(200))


def test_a_number_next_to_a_tie_is_refused_and_a_float_is_not() -> None:
    tie = 1 + Fraction(1, 2**24)
    with pytest.raises(ArithmeticError, match="tie"):
        once(tie)
    assert once(Fraction(3, 2)) == 1.5, "a float32 is itself"


@pytest.mark.parametrize("name", ["sigmoid", "tanh"])
@pytest.mark.parametrize("x", [-30.0, -2.0, -0.5, 0.0, 0.3125, 0.625, 1.0, 9.0, 30.0])
def test_both_evaluations_are_the_function(name: str, x: float) -> None:
    true = math.tanh(x) if name == "tanh" else 1 / (1 + math.exp(-x))
    for how in ("rounded_once", "stepwise"):
        got = FUNCTIONS[name, how](x)
        assert abs(got - true) <= 3 * 2**-24 * max(abs(true), 2**-40), f"{how}: {got}, not {true}"
