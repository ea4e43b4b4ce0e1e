"""Choices of axis values: made, named, taken from presets."""

from refquant.contracts import PRESETS, preset
from refquant.contracts.axes import contradiction
from refquant_conformance.arithmetic import ARITHMETICS, arithmetic_of
from refquant_conformance.arithmetic.base import axes_of, candidates, contract_of, name_axes
from refquant_conformance.arithmetic.matmul import QLINEAR_MATMUL
from refquant_conformance.arithmetic.quantize import QUANTIZE


def test_no_candidate_contradicts_itself_and_every_value_has_one() -> None:
    for arithmetic in ARITHMETICS:
        seen: dict[str, set[object]] = {axis: set() for axis in arithmetic.axes}
        for axes in candidates(arithmetic):
            assert contradiction(axes) is None, f"{arithmetic.op}: {dict(axes)}"
            for axis, value in axes.items():
                seen[axis].add(value)
        for axis, values in arithmetic.axes.items():
            assert seen[axis] == set(values), f"{arithmetic.op}: {axis} has values without choices"


def test_a_preset_makes_a_choice_of_every_family() -> None:
    for arithmetic in ARITHMETICS:
        for contract in PRESETS.values():
            chosen = axes_of(contract, arithmetic)
            assert set(chosen) == set(arithmetic.axes), f"{contract.name}: {dict(chosen)}"
            for axis, value in chosen.items():
                assert value in arithmetic.axes[axis], f"{contract.name}: {axis} = {value}"


def test_what_a_contract_implies_comes_first() -> None:
    chosen = axes_of(preset("tflite_reference"), QLINEAR_MATMUL)
    assert chosen["multiplier"] == "product_f64", "fixed point has a float64 multiplier"
    assert chosen["accumulator"] == "int32_wrap", "what int32_exact leaves undefined wraps"


def test_a_choice_is_named_after_presets_or_by_what_it_changes() -> None:
    own = axes_of(preset("tflite_builtin"), QLINEAR_MATMUL)
    named = name_axes(own, spec=QLINEAR_MATMUL.spec, arithmetic=QLINEAR_MATMUL)
    assert named.startswith("tflite_builtin"), named
    other = {**own, "accumulator": "i16_pair_saturate"}
    named = name_axes(other, spec=QLINEAR_MATMUL.spec, arithmetic=QLINEAR_MATMUL)
    assert "accumulator=i16_pair_saturate" in named, named


def test_what_no_preset_speaks_of_is_named_by_the_specification() -> None:
    arithmetic = arithmetic_of("max_pool", "u8")
    assert arithmetic is not None, "it has one"
    for axes in candidates(arithmetic):
        named = name_axes(axes, spec=arithmetic.spec, arithmetic=arithmetic)
        assert named.startswith("spec"), f"{dict(axes)}: {named}, which says nothing of padding"
    for arithmetic in ARITHMETICS:
        own = axes_of(preset("onnx"), arithmetic)
        named = name_axes(own, spec=arithmetic.spec, arithmetic=arithmetic)
        assert named, f"{arithmetic.op}: no name"


def test_the_open_axis_reaches_the_contract() -> None:
    made = contract_of({"zero_range_scale": 0.5, "axis_of_nobody": "x"})
    assert made.zero_range_scale == 0.5, "zero_range_scale is a number, not one of AXES"


def test_values_named_equal_are_values_of_the_axis_in_schemes_of_the_family() -> None:
    for arithmetic in ARITHMETICS:
        for equal in arithmetic.equal:
            assert set(equal.values) <= set(arithmetic.axes[equal.axis]), f"{equal}"
            assert set(equal.schemes) <= set(arithmetic.schemes), f"{equal}"
            assert equal.reason, f"{equal} has no reason"


def test_the_specification_of_a_family_is_one_of_its_choices() -> None:
    for arithmetic in ARITHMETICS:
        for axis, value in arithmetic.spec.items():
            assert value is None or value in arithmetic.axes[axis], f"{arithmetic.op}: {axis}"
    assert QUANTIZE in ARITHMETICS, "the first family"
