"""Functions and sums as NumPy has them, by the oracle: symmetry, ends, and order."""

import math

import pytest

from refquant_conformance.oracle_numpy import (
    pairwise_exact,
    sigmoid_of_quotient_exact,
    tanh_of_pieces_exact,
)


@pytest.mark.parametrize("x", [1e-30, 0.046, 0.0469, 0.3, 1.0, 7.9, 9.99])
def test_the_tangent_is_odd_and_near(x: float) -> None:
    made = tanh_of_pieces_exact(x)
    assert made == -tanh_of_pieces_exact(-x), f"{x} is odd"
    assert abs(made - math.tanh(x)) <= 2.0**-23 * abs(math.tanh(x)) + 2.0**-149, f"{x}: two steps"


@pytest.mark.parametrize("x", [-80.0, -1.0, 0.0, 0.5, 20.0])
def test_it_is_the_logistic_function(x: float) -> None:
    true = 1 / (1 + math.exp(-x))
    assert abs(sigmoid_of_quotient_exact(x) - true) <= 2.0**-21 * true, f"{x}"


def test_far_out_they_are_flat() -> None:
    assert [tanh_of_pieces_exact(x) for x in (10.0, 15.9, 1e30)] == [1.0] * 3, "1"
    assert [sigmoid_of_quotient_exact(x) for x in (-104.0, 104.0)] == [0.0, 1.0], "0 and 1"


def test_sums_are_in_eights_and_halves() -> None:
    big = 2.0**24
    assert pairwise_exact([big, 1.0, 1.0]) == big, "one after the other, ones are lost"
    assert pairwise_exact([big, 0, 0, 0, 1.0, 1.0, 0, 0]) == big + 2, "lanes 4 and 5 meet first"
    halves = [big] + [0.0] * 135
    halves[64], halves[72] = 1.0, 1.0
    assert pairwise_exact(halves) == big + 2, "136 numbers are 64 and 72"
    assert pairwise_exact([]) == 0.0, "nothing"
