"""Which contracts run, and how the others are refused: by name and axis."""

from typing import Any

import pytest

from refquant.contracts import AXES as REFERENCE
from refquant.contracts import PRESETS, Contract
from refquant_runtime import UnsupportedError
from refquant_runtime.contracts import AXES, EXECUTED, arithmetic_of, check_axes

ORT = dict(PRESETS["ort"].to_json())


def test_the_axes_are_those_of_the_reference() -> None:
    assert {axis: set(values) for axis, values in AXES.items()} == {
        axis: set(values) for axis, values in REFERENCE.items()
    }, "two lists, one text"


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_is_executed_or_refused_by_name(name: str) -> None:
    axes = PRESETS[name].to_json()
    check_axes(axes)
    if name in EXECUTED:
        arithmetic = arithmetic_of("m.rq", name, axes)
        assert arithmetic.requantize == axes["requantize"], "what the planner needs to know"
        assert (arithmetic.add, arithmetic.average_pool) == (axes["add"], axes["average_pool"]), (
            name
        )
        return
    with pytest.raises(UnsupportedError, match=rf"m\.rq: contract '{name}' is not executed"):
        arithmetic_of("m.rq", name, axes)


@pytest.mark.parametrize("axis", [*AXES, "zero_range_scale"])
def test_an_axis_that_computes_must_be_ours_one_that_chooses_need_not(axis: str) -> None:
    others = [value for value in AXES.get(axis, ("",)) if value != ORT[axis]]
    changed: dict[str, Any] = {**ORT, axis: 0.5 if axis == "zero_range_scale" else others[0]}
    chooses = axis in (
        *("weight_range", "symmetric_scale", "asymmetric_scale", "range_includes_zero"),
        *("small_range", "zero_range_scale", "parameter_dtype", "inverse", "scale_dtype"),
        *("zero_point_from", "zero_point_rounding", "zero_point_dtype"),
    )
    if chooses:
        assert arithmetic_of("m.rq", "ort", changed).name == "ort", "it says how parameters arose"
        return
    with pytest.raises(UnsupportedError, match=r"m\.rq: contract 'ort': .*; quantize with one of"):
        arithmetic_of("m.rq", "ort", changed)


VALUES: list[tuple[str, Any]] = [
    ("rounding", "nearest"), ("rounding", 1), ("negative_scale", 1), ("negative_scale", "False"),
    ("nan", "int32_min"), ("symmetric_scale", "signed_amax_over_qmin"), ("add", ["dequantize"]),
    *[(axis, value) for axis, values in AXES.items() for value in values],
    *[("zero_range_scale", v) for v in (0, -1.0, 0.1, 1e-40, 1e39, True, None, "1", 2**200)],
    *[("zero_range_scale", v) for v in (1, 0.5, 2**62, 2.0**-126)], ("rounding", "floor"),
]  # fmt: skip


@pytest.mark.parametrize(("axis", "value"), VALUES, ids=str)
def test_axes_are_arithmetic_exactly_where_the_reference_says_so(axis: str, value: Any) -> None:
    axes = {**ORT, axis: value}
    try:
        Contract.from_json("x", axes)
    except ValueError:
        with pytest.raises(ValueError, match=f"axis '{axis}'"):
            check_axes(axes)
    else:
        check_axes(axes)


def test_every_axis_stands_once() -> None:
    for axis in ORT:
        with pytest.raises(ValueError, match=f"axis '{axis}' is missing"):
            check_axes({k: v for k, v in ORT.items() if k != axis})
    with pytest.raises(ValueError, match="unknown axis 'name'"):
        check_axes(ORT | {"name": "ort"})
