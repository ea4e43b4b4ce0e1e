"""What a report says of an axis is said of axes and values that exist."""

from pathlib import Path

from refquant.contracts.axes import AXES as CONTRACT_AXES
from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.report import definitions
from refquant_conformance.report.values import VALUES

ROOT = Path(__file__).parents[3]
KNOWN = {(axis, v) for a in ARITHMETICS for axis, values in a.axes.items() for v in values}
KNOWN |= {(axis, value) for axis, values in CONTRACT_AXES.items() for value in values}


def test_definitions_are_of_values_that_exist() -> None:
    unknown = set(VALUES) - KNOWN
    assert not unknown, f"no axis has these: {unknown}"
    axes = {axis for axis, _ in KNOWN}
    assert set(definitions.AXES) <= axes, f"{set(definitions.AXES) - axes}"


def test_every_axis_of_the_judge_has_a_definition() -> None:
    axes = {axis for a in ARITHMETICS for axis in a.axes}
    assert axes <= set(definitions.AXES), f"no words for {sorted(axes - set(definitions.AXES))}"


def test_every_value_has_a_definition_or_a_place_that_exists() -> None:
    for axis, value in sorted(KNOWN, key=str):
        told = definitions.define(axis, value)
        if told.endswith((".py", ".md")):
            folder = ROOT if told.startswith("docs") else ROOT / "conformance"
            assert (folder / told).exists(), f"{axis}={value}: {told} is not there"
    assert definitions.define("zero_range_scale", 1e-5) == "the number 1e-05", "a number"
    assert definitions.define("rounding", "sideways").startswith("not an axis"), "no such value"


def test_what_needs_more_than_a_line_says_where_it_stands() -> None:
    assert definitions.define("rounding", "half_even").startswith("nearest"), "a line"
    assert definitions.define("requantize", "rndnu16") == "docs/spec/operators.md", "a place"
