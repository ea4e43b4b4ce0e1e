"""Sums are those of the case that is asked, whoever asked before; and are made once."""

from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic.shared_sums import shared_sums
from refquant_conformance.protocol import Array, Case

CASE = Case(
    "matmul_integer", "u8_u8",
    {"a": np.arange(4), "b": np.ones(4), "a_scale": np.ones(1)},
    {"group": 1}, {"a": "uint8"},
)  # fmt: skip


class Counting:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, case: Case, accumulator: AxisValue) -> Array | None:
        self.calls += 1
        return None if accumulator == "refused" else case.inputs["a"] + case.inputs["b"]


def test_the_same_arrays_are_added_once() -> None:
    make = Counting()
    first = shared_sums(CASE, "wrap", make)
    again = replace(CASE, inputs={**CASE.inputs, "a_scale": np.zeros(1)})
    assert shared_sums(again, "wrap", make) is first, "a scale is no part of a sum"
    assert [shared_sums(CASE, "refused", make) for _ in range(2)] == [None, None], "kept, too"
    assert make.calls == 2, f"{make.calls} calls"
    assert first is not None, "computed"
    with pytest.raises(ValueError, match="read-only"):
        first[0] = 1


@pytest.mark.parametrize(
    "other",
    [
        replace(CASE, inputs={**CASE.inputs, "a": CASE.inputs["a"].copy()}),
        replace(CASE, inputs={"a": CASE.inputs["b"], "b": CASE.inputs["a"]}),
        replace(CASE, params={"group": 2}), replace(CASE, types={"a": "int8"}),
        replace(CASE, op="qlinear_matmul"),
        replace(CASE, inputs={**CASE.inputs, "bias": np.ones(4)}),
    ],
)  # fmt: skip
def test_what_differs_in_anything_is_added_for_itself(other: Case) -> None:
    make = Counting()
    for case in (CASE, other):
        shared_sums(case, "wrap", make)
    shared_sums(CASE, "another", make)
    assert make.calls == 3, f"{make.calls} calls"


def test_old_sums_go_and_no_other_array_takes_their_place() -> None:
    make = Counting()
    for n in range(1000):  # arrays that die at once: their identities come again
        case = replace(CASE, inputs={"a": np.full(4, n), "b": np.zeros(4)})
        sums = shared_sums(case, "wrap", make)
        assert sums is not None, "computed"
        assert sums.tolist() == [n] * 4, f"sums of another case: {sums}"
    assert make.calls == 1000, f"{make.calls} calls"
