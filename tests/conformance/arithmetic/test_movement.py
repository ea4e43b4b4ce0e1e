"""Codes that move: the oracle finds the same element, probes tell what padding is."""

import numpy as np
import pytest

from refquant_conformance.arithmetic import Arithmetic
from refquant_conformance.arithmetic.movement import MAX_POOL, MOVE, moved_case
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
    computed,
)

BOTH = pytest.mark.parametrize("arithmetic", [MAX_POOL, MOVE], ids=["max_pool", "move"])


@BOTH
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(arithmetic: Arithmetic, scheme: str) -> None:
    assert_counted_again(arithmetic, scheme, each=4)


@BOTH
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_probes_tell_every_value(arithmetic: Arithmetic, scheme: str) -> None:
    assert_told_apart(arithmetic, scheme, "padding", {})


@BOTH
def test_an_element_alone_is_what_it_was(arithmetic: Arithmetic) -> None:
    assert_alone(arithmetic, "i8", arithmetic.spec)  # type: ignore[arg-type]  # none is silent


def test_padding_by_hand() -> None:
    case = moved_case("max_pool", "i8", np.array([[[[-9, -4]]]]), -7, kernel=(1, 2), strides=(1, 1),
                      pads=(0, 1, 0, 0))  # fmt: skip
    wanted = {"ignored": [-9, -4], "zero_point": [-7, -4], "code_zero": [0, -4]}
    for padding, codes in wanted.items():
        seen = computed(MAX_POOL, case, {"padding": padding}).reshape(-1).tolist()
        assert seen == codes, f"{padding}: {seen}"
    case = moved_case("move", "i8", np.array([[5]]), -7, kind="pad", pads=(0, 0, 0, 1))
    for padding, code in (("zero_point", -7), ("code_zero", 0)):
        seen = computed(MOVE, case, {"padding": padding}).tolist()
        assert seen == [[5, code]], f"{padding}: {seen}"
