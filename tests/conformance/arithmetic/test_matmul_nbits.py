"""Weight-only products: the oracle counts the same, every order of sums is told apart."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.matmul_nbits import MATMUL_NBITS, nbits_case, spread
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
    computed,
)


def test_the_oracle_counts_the_same() -> None:
    assert_counted_again(MATMUL_NBITS, "f32_u4", each=3)


@pytest.mark.parametrize("axis", ["sums", "scale"])
def test_probes_tell_every_value(axis: str) -> None:
    base = {"sums": "ordered", "scale": "of_weights"}
    assert_told_apart(MATMUL_NBITS, "f32_u4", axis, base)


def test_a_row_alone_is_the_row() -> None:
    assert_alone(MATMUL_NBITS, "f32_u4", {"sums": "fused_or_lanes", "scale": "of_weights"})


def test_scales_are_those_of_the_block_and_a_missing_zero_point_is_8() -> None:
    scale = np.array([[1.0], [10.0]])
    case = nbits_case(np.ones((1, 20)), np.full((20, 1), 9), scale, None, 16)
    steps, of_each = spread(case)
    assert steps.reshape(-1).tolist() == [1] * 20, f"{steps}"
    assert of_each.reshape(-1).tolist() == [1.0] * 16 + [10.0] * 4, f"{of_each}"
    for sums in MATMUL_NBITS.axes["sums"]:
        for how in MATMUL_NBITS.axes["scale"]:
            seen = computed(MATMUL_NBITS, case, {"sums": sums, "scale": how}).tolist()
            assert seen == [[56.0]], f"{sums} {how}: {seen}"
