"""Layer normalization of one element, by hand."""

import math

import pytest

from refquant_conformance.oracle_norm import layer_norm_exact, sum_exact


def test_sums_in_order_and_of_eight() -> None:
    tiny = 2.0**-24
    assert sum_exact([1.0, *[tiny] * 15], "ordered") == 1.0, "each is lost"
    assert sum_exact([1.0, *[tiny] * 15], "eight") == 1 + 14 * tiny, "only the pair of 1 loses one"
    assert sum_exact([tiny, 1.0], "eight") == 1.0, "fewer than eight are in order"


@pytest.mark.parametrize("inverse", ["reciprocal", "divided"])
def test_a_root_is_rounded_once(inverse: str) -> None:
    """Variance 1 and epsilon 1: 1 / sqrt(2)."""
    seen = layer_norm_exact([-1.0, 1.0], 1, 1.0, None, epsilon=1.0, sums="ordered",
                            variance="two_pass", inverse=inverse)  # fmt: skip
    assert abs(seen - math.sqrt(0.5)) < 2.0**-24, f"{inverse}: {seen}"


def test_a_variance_that_cancels_below_zero_is_not_a_number() -> None:
    row = [float.fromhex("0x1.f40cccp+9")] * 5
    for variance, wanted in (("one_pass", True), ("two_pass", False)):
        seen = layer_norm_exact(row, 0, 1.0, 0.0, epsilon=1e-30, sums="ordered", variance=variance,
                                inverse="divided")  # fmt: skip
        assert math.isnan(seen) is wanted, f"{variance}: {seen}"
