"""Layer normalization: the oracle counts the same, every order of operations is told apart."""

import numpy as np
import pytest

from refquant.ops.layer_norm import layer_normalization
from refquant_conformance.arithmetic.layer_norm import LAYER_NORM, norm_case
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
    computed,
)

BASE = {"sums": "ordered", "variance": "two_pass", "inverse": "reciprocal"}


def test_the_oracle_counts_the_same() -> None:
    assert_counted_again(LAYER_NORM, "f32", each=3)


@pytest.mark.parametrize("axis", sorted(BASE))
def test_probes_tell_every_value(axis: str) -> None:
    assert_told_apart(LAYER_NORM, "f32", axis, BASE)


def test_a_row_alone_is_the_row() -> None:
    assert_alone(LAYER_NORM, "f32", {**BASE, "sums": "eight"})


def test_one_choice_is_the_reference_s_own_operator() -> None:
    for case in LAYER_NORM.probes("f32"):
        given = [case.inputs.get(name) for name in ("x", "scale", "bias")]
        wanted = layer_normalization(*given, epsilon=1e-5)  # type: ignore[arg-type]  # float32
        assert np.array_equal(computed(LAYER_NORM, case, BASE), wanted), "not bit for bit"


def test_a_row_by_hand() -> None:
    case = norm_case(np.array([[1, 3]]), np.ones(2), np.full(2, 7.0), 3.0)
    for variance in ("two_pass", "one_pass"):
        seen = computed(LAYER_NORM, case, {**BASE, "variance": variance}).tolist()
        assert seen == [[6.5, 7.5]], f"{variance}: {seen}"
