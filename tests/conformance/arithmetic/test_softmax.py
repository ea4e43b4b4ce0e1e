"""Softmax of codes: the oracle counts the same, searched rows tell every value."""

import pytest

from refquant_conformance.arithmetic.softmax import QLINEAR_SOFTMAX
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(scheme: str) -> None:
    assert_counted_again(QLINEAR_SOFTMAX, scheme)


@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_probes_tell_every_value(scheme: str) -> None:
    assert_told_apart(QLINEAR_SOFTMAX, scheme, "softmax", {})


def test_a_row_alone_is_the_row() -> None:
    assert_alone(QLINEAR_SOFTMAX, "u8", {"softmax": "float_table"})


def test_the_table_in_fixed_point_has_one_output_scale() -> None:
    odd = [c for c in QLINEAR_SOFTMAX.probes("u8") if c.inputs["y_scale"] != 1 / 256]
    made = [QLINEAR_SOFTMAX.compute(c, {"softmax": "fixed_point_table"}) for c in odd]
    assert made, "no probe has another scale"
    assert all(m is None for m in made), "computed with another scale"
