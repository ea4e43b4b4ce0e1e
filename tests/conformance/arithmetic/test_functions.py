"""Evaluations of functions: the oracle counts the same, and each is the function."""

import math

import numpy as np
import pytest

from refquant_conformance.arithmetic.functions import EVALUATIONS, evaluated
from refquant_conformance.oracle_functions import FUNCTIONS

ALL = [(name, str(how)) for name, hows in EVALUATIONS.items() for how in hows]
SPECIAL = [
    0.0,
    -0.0,
    1e-30,
    -1e-30,
    8.999,
    9.0,
    -9.5,
    17.9,
    18.5,
    -18.5,
    87.0,
    -87.5,
    200.0,
    -200.0,
]


def drawn() -> np.ndarray:
    plain = np.random.default_rng(0).standard_normal(200) * 4
    return np.concatenate([plain, SPECIAL]).astype(np.float32)


@pytest.mark.parametrize(("name", "how"), ALL)
def test_the_oracle_counts_the_same(name: str, how: str) -> None:
    for x, got in zip(drawn().tolist(), evaluated(name, drawn(), how).tolist(), strict=True):
        assert got == FUNCTIONS[name, how](x), f"{name} {how} of {x}"


@pytest.mark.parametrize(("name", "how"), ALL)
def test_each_is_the_function(name: str, how: str) -> None:
    for x, got in zip(drawn().tolist(), evaluated(name, drawn(), how).tolist(), strict=True):
        true = math.tanh(x) if name == "tanh" else 1 / (1 + math.exp(-x))
        # Cutting x off at 18 leaves 2^-25; float32 near 1 has steps of 2^-24.
        assert abs(got - true) <= 2.0**-22, f"{name} {how} of {x}: {got}"


@pytest.mark.parametrize("name", EVALUATIONS)
def test_the_evaluations_differ(name: str) -> None:
    x = np.linspace(-8, 8, 4001).astype(np.float32)
    made = [evaluated(name, x, how).tobytes() for how in EVALUATIONS[name]]
    assert len(set(made)) == len(made), "two evaluations are the same on 4001 numbers"


def test_below_the_smallest_exponential_nothing_is_left() -> None:
    far = np.array([-87.3365479, -100.0, -np.inf], np.float32)
    assert (evaluated("sigmoid", far, "exponential_fused") > 0).all(), "cut off where e^x is normal"
    assert (evaluated("sigmoid", far, "exponential_fused") < 2.0**-125).all(), "and tiny"
