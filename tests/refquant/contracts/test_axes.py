"""Which values need which: each rule refuses what it forbids, and nothing else."""

from typing import Any

import pytest

from refquant.contracts import AXES, PRESETS
from refquant.contracts.axes import EXCLUSIONS, contradiction


@pytest.mark.parametrize("rule", EXCLUSIONS, ids=lambda rule: f"{rule[1]}-{rule[2]}")
def test_each_rule_is_about_values_that_exist(rule: tuple[Any, ...]) -> None:
    axis, value, other, needed, why = rule
    assert value in AXES[axis], "the value that needs"
    assert needed in AXES[other], "the value that is needed"
    assert why, "and a reason"


@pytest.mark.parametrize("rule", EXCLUSIONS, ids=lambda rule: f"{rule[1]}-{rule[2]}")
def test_each_rule_refuses_every_other_value(rule: tuple[Any, ...]) -> None:
    axis, value, other, needed, _ = rule
    for choice in AXES[other]:
        said = contradiction({axis: value, other: choice})
        if choice == needed:
            assert said is None, "the value that is needed"
        else:
            assert said is not None, f"{axis} {value} with {other} {choice}"
            assert str(choice) in said, "the sentence must say what was chosen"


def test_a_value_without_needs_has_no_rule() -> None:
    assert contradiction(PRESETS["onnx"].to_json()) is None, "onnx contradicts nothing"
