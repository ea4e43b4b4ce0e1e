"""A contract is data: complete, strict, and the same after a trip through JSON."""

import json
from dataclasses import FrozenInstanceError, fields, replace
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refquant.contracts import AXES, PRESETS, Contract
from refquant.numerics.rounding import ROUNDING

ALL_AXES = sorted(field.name for field in fields(Contract) if field.name != "name")

zero_range_scales = st.floats(min_value=2.0**-126, max_value=2.0**127, width=32)


@st.composite
def contracts(draw: st.DrawFn) -> Contract:
    """Every preset, with any number of axes changed to another allowed value."""
    contract = draw(st.sampled_from(sorted(PRESETS.values(), key=lambda c: c.name)))
    changes: dict[str, Any] = {
        axis: draw(st.sampled_from(AXES[axis]))
        for axis in draw(st.sets(st.sampled_from(sorted(AXES))))
    }
    if draw(st.booleans()):
        changes["zero_range_scale"] = draw(zero_range_scales)
    try:
        return replace(contract, **changes)
    except ValueError:  # two values that exclude each other: tested below
        assume(False)
        raise


@given(contract=contracts())
def test_a_contract_survives_the_trip_through_json(contract: Contract) -> None:
    text = json.dumps(contract.to_json(), allow_nan=False)
    back = Contract.from_json(contract.name, json.loads(text))
    assert back == contract, "from_json(to_json) must be the same value"
    assert hash(back) == hash(contract), "equal contracts must hash equally"
    assert json.dumps(back.to_json()) == text, "the JSON text must be canonical"


@given(contract=contracts())
def test_json_has_every_axis_sorted_and_no_name(contract: Contract) -> None:
    assert list(contract.to_json()) == ALL_AXES, "the axes in order, and nothing else"


def test_axes_are_the_fields() -> None:
    assert sorted([*AXES, "zero_range_scale"]) == ALL_AXES, "one entry an axis; one axis is open"


def test_every_rounding_value_is_implemented() -> None:
    assert set(AXES["rounding"]) == set(ROUNDING), "the file's words are those of the arithmetic"


def test_every_requantize_value_is_implemented() -> None:
    modes = pytest.importorskip("refquant.numerics.requantize").REQUANTIZE_MODES
    reals = pytest.importorskip("refquant.ops.dynamic_range").ORDERS
    assert set(AXES["requantize"]) - {"unspecified"} == {*modes, *reals}, (
        "the file's words are those of the arithmetic"
    )


@pytest.mark.parametrize("axis", ALL_AXES)
def test_a_missing_axis_is_refused_by_name(axis: str) -> None:
    axes = PRESETS["onnx"].to_json()
    del axes[axis]
    with pytest.raises(ValueError, match=rf"axis '{axis}' is missing; allowed: "):
        Contract.from_json("mine", axes)


@pytest.mark.parametrize("axis", sorted(AXES))
@pytest.mark.parametrize("value", ["", "nearest", 1, 0, 1.0, None, ["half_even"], {}, "True"])
def test_an_unknown_value_is_refused_by_axis_value_and_alternatives(axis: str, value: Any) -> None:
    axes = {**PRESETS["onnx"].to_json(), axis: value}
    with pytest.raises(ValueError, match=f"axis '{axis}'") as caught:
        Contract.from_json("mine", axes)
    for word in (repr(value), *map(repr, AXES[axis])):
        assert word in str(caught.value), f"the message must say {word}"


@pytest.mark.parametrize(
    "value",
    [0.0, -1.0, 2.0**-127, 2.0**128, float("inf"), float("nan"), 0.1, 1 + 2**-24, True, "1", None],
)
def test_a_zero_range_scale_that_is_no_scale_is_refused(value: Any) -> None:
    axes = {**PRESETS["onnx"].to_json(), "zero_range_scale": value}
    with pytest.raises(ValueError, match="axis 'zero_range_scale': must be a positive normal"):
        Contract.from_json("mine", axes)


def test_json_has_one_kind_of_number() -> None:
    contract = Contract.from_json("mine", {**PRESETS["onnx"].to_json(), "zero_range_scale": 2})
    assert type(contract.zero_range_scale) is float, "2 and 2.0 are one value"
    assert contract.zero_range_scale == 2.0, "and this one"


def test_an_unknown_axis_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"unknown axis 'mood' .value 'good'.; the axes are accum"):
        Contract.from_json("mine", {**PRESETS["onnx"].to_json(), "mood": "good"})
    with pytest.raises(ValueError, match="unknown axis 'name'"):
        Contract.from_json("mine", {**PRESETS["onnx"].to_json(), "name": "mine"})


@pytest.mark.parametrize("axes", [None, [], "half_even", 3])
def test_axes_that_are_no_object_are_refused(axes: Any) -> None:
    with pytest.raises(ValueError, match="contract 'mine': axes must be an object"):
        Contract.from_json("mine", axes)


@pytest.mark.parametrize("name", ["", None, 3])
def test_a_contract_has_a_name(name: Any) -> None:
    with pytest.raises(ValueError, match="name must be a string, not empty"):
        Contract.from_json(name, PRESETS["onnx"].to_json())


@pytest.mark.parametrize("overflow", ["saturate", "wrap"])
def test_int32_min_needs_the_cast_that_makes_it(overflow: str) -> None:
    with pytest.raises(ValueError, match=f"axis 'nan': .*overflow 'int32_cast'.*got '{overflow}'"):
        replace(PRESETS["onnx"], nan="int32_min", overflow=overflow)


def test_signed_amax_needs_negative_scales() -> None:
    with pytest.raises(ValueError, match=r"axis 'symmetric_scale': .*negative_scale True"):
        replace(PRESETS["onnx"], symmetric_scale="signed_amax_over_qmin")


def test_a_contract_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        PRESETS["onnx"].rounding = "floor"  # type: ignore[misc]
