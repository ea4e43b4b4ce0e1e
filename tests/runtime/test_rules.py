"""Rules and limits are two kinds of refusal; attributes are of exactly their kind."""

from typing import Any

import pytest

from refquant_runtime.rules import BeyondError, Kind, can, check_attributes, need

KINDS: dict[str, Kind] = {
    "axis": "int", "alpha": "float", "pads": "ints", "mode": ("constant",), "transB": (0, 1),
}  # fmt: skip


def test_a_broken_rule_and_a_limit_are_told_apart() -> None:
    need(True, "holds")
    can(True, "can be done")
    with pytest.raises(ValueError, match="is broken") as caught:
        need(False, "is broken")
    assert not isinstance(caught.value, BeyondError), "the file is wrong, not the runtime"
    with pytest.raises(BeyondError, match="is much"):
        can(False, "is much")


@pytest.mark.parametrize(
    "attributes",
    [{}, {"axis": -3}, {"alpha": 1, "pads": []}, {"alpha": 3.4e38, "mode": "constant"},
     {"pads": [0, -1, 2**63 - 1]}, {"transB": 1}],
)  # fmt: skip
def test_attributes_of_their_kind_pass(attributes: dict[str, Any]) -> None:
    check_attributes(attributes, KINDS)


@pytest.mark.parametrize(
    ("name", "value", "rule"),
    [
        ("axis", 1.0, "must be an integer"),
        ("axis", True, "must be an integer"),
        ("axis", None, "must be an integer"),
        ("alpha", "1", "must be a float32"),
        ("alpha", 1e39, "must be a float32"),
        ("alpha", 2**200, "must be a float32"),
        ("alpha", float("nan"), "must be a float32"),
        ("pads", 3, "must be a list of integers"),
        ("pads", [1, 2.0], "must be a list of integers"),
        ("pads", [True], "must be a list of integers"),
        ("mode", "reflect", "must be one of ['constant']"),
        ("mode", ["constant"], "must be one of"),
        ("transB", 2, "must be one of [0, 1]"),
        ("transB", True, "must be one of"),
        ("auto_pad", "SAME", "unknown attribute 'auto_pad'; it has ['alpha', 'axis'"),
    ],
)
def test_an_attribute_of_another_kind_is_refused_by_name(name: str, value: Any, rule: str) -> None:
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the rule is compared below
        check_attributes({name: value}, KINDS)
    assert name in str(caught.value), "the name"
    assert rule in str(caught.value), f"{caught.value}"
