"""Means of codes: the oracle counts the same, probes tell every value."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Arithmetic
from refquant_conformance.arithmetic.pool_probes import unary_case
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


@pytest.mark.parametrize(("seed", "at", "code"), [(1, 14, 148), (2, 4, 136), (10, 8, 133)])
def test_padding_that_counts_has_a_place_in_the_order(seed: int, at: int, code: int) -> None:
    """Without the zeros other lanes meet first, and the code is another."""
    x = np.random.default_rng(seed).integers(0, 256, (1, 1, 7, 98))
    ends, kernel = ((0.1, 128), (0.1, 128)), (4, 5)
    case = unary_case(
        "qlinear_average_pool", "u8", x, ends, kernel=kernel, strides=kernel, pads=(1, 2, 0, 0),
        count_include_pad=1,
    )  # fmt: skip
    axes = {"average_pool": "dequantize_pairwise"}
    made = QLINEAR_AVERAGE_POOL.compute(case, axes)
    assert made is not None, "refused"
    assert made["y"].reshape(-1)[at] == code, "the codes of whole windows"
    assert QLINEAR_AVERAGE_POOL.exact(case, axes, "y", at) == code, "the oracle"
