"""Functions of one code: the oracle counts the same, searched scales tell every value."""

import pytest

from refquant_conformance.arithmetic.base import Arithmetic
from refquant_conformance.arithmetic.unary import (
    QLINEAR_LEAKY_RELU,
    QLINEAR_SIGMOID,
    QLINEAR_TANH,
)
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
)

ALL = [QLINEAR_SIGMOID, QLINEAR_TANH, QLINEAR_LEAKY_RELU]
BASE = {"function": "rounded_once", "table": "quotient"}


@pytest.mark.parametrize("arithmetic", ALL)
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(arithmetic: Arithmetic, scheme: str) -> None:
    assert_counted_again(arithmetic, scheme)


@pytest.mark.parametrize("arithmetic", ALL)
def test_probes_tell_every_value(arithmetic: Arithmetic) -> None:
    for axis in arithmetic.axes:
        assert_told_apart(arithmetic, "u8", axis, BASE)


@pytest.mark.parametrize("arithmetic", ALL)
def test_a_code_alone_is_the_code(arithmetic: Arithmetic) -> None:
    assert_alone(arithmetic, "i8", BASE)
