"""Two tensors in one: the oracle counts the same, probes tell every value."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.concat import QLINEAR_CONCAT, concat_case
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
    computed,
)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(scheme: str) -> None:
    assert_counted_again(QLINEAR_CONCAT, scheme)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_probes_tell_every_value(scheme: str) -> None:
    assert_told_apart(QLINEAR_CONCAT, scheme, "concat", {})


def test_an_element_alone_is_in_its_row() -> None:
    assert_alone(QLINEAR_CONCAT, "u8", {"concat": "quotient"})


def test_equal_rules_change_nothing() -> None:
    codes = np.arange(-128, 128)[None]
    for how in QLINEAR_CONCAT.axes["concat"]:
        for scale, zero in ((0.1, 0), (1 / 3, -7), (2.0, 100)):
            case = concat_case("i8", codes, codes, ((scale, zero),) * 3)
            seen = computed(QLINEAR_CONCAT, case, {"concat": how})
            assert np.array_equal(seen, np.tile(codes, 2)), f"{how} moves codes by {scale}, {zero}"
