"""Means of codes: the oracle counts the same, probes tell every value."""

import pytest

from refquant_conformance.arithmetic.base import Arithmetic
from refquant_conformance.arithmetic.pools import QLINEAR_AVERAGE_POOL, QLINEAR_MEAN
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
@pytest.mark.parametrize("arithmetic", [QLINEAR_AVERAGE_POOL, QLINEAR_MEAN])
def test_the_oracle_counts_the_same(arithmetic: Arithmetic, scheme: str) -> None:
    assert_counted_again(arithmetic, scheme, each=6)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_probes_tell_every_average(scheme: str) -> None:
    assert_told_apart(QLINEAR_AVERAGE_POOL, scheme, "average_pool", {})


def test_probes_tell_every_mean() -> None:
    assert_told_apart(QLINEAR_MEAN, "i8", "mean", {})


@pytest.mark.parametrize("arithmetic", [QLINEAR_AVERAGE_POOL, QLINEAR_MEAN])
def test_a_window_alone_is_the_window(arithmetic: Arithmetic) -> None:
    axes = {"average_pool": "float_multiplier", "mean": "folded_multiplier"}
    assert_alone(arithmetic, "i8", axes)
