"""Functions by polynomials, at the ends where they are cut off, and by symmetry."""

import math

import pytest

from refquant_conformance.oracle_polynomials import (
    sigmoid_by_exponential,
    sigmoid_rational,
    tanh_rational,
)


@pytest.mark.parametrize("x", [0.1, 1.5, 7.0, 8.9])
def test_the_tangent_is_odd(x: float) -> None:
    assert tanh_rational(-x) == -tanh_rational(x), f"{x}"
    assert abs(tanh_rational(x) - math.tanh(x)) < 2.0**-22, f"{x}"


def test_beyond_the_end_nothing_changes() -> None:
    assert tanh_rational(9.0) == tanh_rational(1e9), "9"
    assert sigmoid_rational(18.0) == sigmoid_rational(1e9), "18"
    assert sigmoid_rational(-18.0) == sigmoid_rational(-1e9) < 1e-7, "-18"
    assert sigmoid_by_exponential(-87.4) == sigmoid_by_exponential(-1e9) > 0, "-87.3"


@pytest.mark.parametrize("function", [sigmoid_rational, sigmoid_by_exponential])
@pytest.mark.parametrize("x", [-8.0, -0.3, 0.0, 0.3, 5.0])
def test_it_is_the_logistic_function(function: object, x: float) -> None:
    assert callable(function), "a function"
    assert abs(function(x) - 1 / (1 + math.exp(-x))) < 2.0**-22, f"{x}"


def test_the_sign_of_zero_takes_the_other_side() -> None:
    assert sigmoid_by_exponential(0.0) == sigmoid_by_exponential(-0.0) == 0.5, "both are 1/2"
