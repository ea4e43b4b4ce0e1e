"""What a report says of an axis is said of axes and values that exist."""

from refquant.contracts.axes import AXES as CONTRACT_AXES
from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.report import definitions

KNOWN = {(axis, v) for a in ARITHMETICS for axis, values in a.axes.items() for v in values}
KNOWN |= {(axis, value) for axis, values in CONTRACT_AXES.items() for value in values}


def test_definitions_are_of_values_that_exist() -> None:
    unknown = set(definitions._VALUES) - KNOWN
    assert not unknown, f"no axis has these: {unknown}"
    axes = {axis for axis, _ in KNOWN}
    assert set(definitions.AXES) <= axes, f"{set(definitions.AXES) - axes}"


def test_what_needs_more_than_a_line_says_where_it_stands() -> None:
    assert definitions.define("rounding", "half_even").startswith("nearest"), "a line"
    assert definitions.define("requantize", "rndnu16") == "docs/spec/operators.md", "a place"
