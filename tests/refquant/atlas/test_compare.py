"""Verdicts: known pairs, symmetry, honesty about what was compared."""

from dataclasses import replace
from typing import Any

import pytest

from refquant.atlas.compare import atlas, diverge
from refquant.contracts import AXES, PRESETS, Contract, preset
from refquant.contracts.axes import contradiction

KNOWN: list[tuple[str, str, str, dict[str, Any], Any, Any]] = [
    # by hand: 0.5 is a tie, to even 0 and away from zero 1
    ("onnx", "tflite_reference", "quantize", {"x": 0.5, "scale": 1.0, "zero_point": 0}, 0, 1),
    # by hand: 1/2 - 2^-24 rounds to 0, + 1 = 1; but 3/2 - 2^-24 lies halfway between two floats,
    # is made the even one, 3/2, and that is a tie, to even 2
    ("onnx", "stablehlo", "quantize", {"x": 0.5 - 2.0**-24, "zero_point": 1}, 1, 2),
    # by hand: 1 / 2 = 0.5, half even 0; half away 1
    ("ort", "tflite_reference", "requantize", {"accumulator": 1, "multiplier": 0.5}, 0, 1),
]


@pytest.mark.parametrize(("a", "b", "stage", "given", "first", "second"), KNOWN)
def test_examples_are_those_found_by_hand(
    a: str, b: str, stage: str, given: dict[str, Any], first: Any, second: Any
) -> None:
    example = diverge(preset(a), preset(b)).examples[stage]
    shown = {key: example.given[key] for key in given}
    assert shown == given, f"{a}, {b}: {example}"
    assert (example.a, example.b) == (first, second), f"{a}, {b}: {example}"


def test_a_contract_does_not_differ_from_itself_under_another_name() -> None:
    for contract in PRESETS.values():
        found = diverge(contract, replace(contract, name="again"))
        assert not found.differ, f"{contract.name} differs from itself: {found.examples}"
        assert found.because == "every axis is the same", found.because
        assert found.rate_ties in (0.0, None), f"{contract.name}: {found.rate_ties}"
        assert found.rate_gaussian in (0.0, None), f"{contract.name}: {found.rate_gaussian}"


def test_every_ordered_pair_is_there_and_the_order_does_not_matter() -> None:
    found = {(each.a, each.b): each for each in atlas()}
    names = sorted(PRESETS)
    assert set(found) == {(a, b) for a in names for b in names if a != b}, "pairs are missing"
    for (a, b), each in found.items():
        for stage, example in each.examples.items():
            assert example.a != example.b, f"{a}, {b}: {stage}: no difference: {example}"
    for b, a in (("onnx", "aimet"), ("xnnpack", "tosa"), ("qwix", "ggml"), ("torch", "ort")):
        assert diverge(PRESETS[b], PRESETS[a]) == found[b, a], f"{b}, {a} is not {a}, {b} mirrored"


def test_a_verdict_without_an_example_says_so() -> None:
    for each in atlas():
        assert each.differ == bool(each.examples), f"{each.a}, {each.b}"
        assert (each.example is None) == (not each.differ), f"{each.a}, {each.b}"
        if not each.differ:
            assert "the same" in each.because or "no difference found" in each.because, each.because


QUANTIZE_AXES = ("rounding", "scale_op", "zero_point_at")


@pytest.mark.parametrize("axis", QUANTIZE_AXES)
def test_every_value_of_an_axis_of_quantization_is_told_from_every_other(axis: str) -> None:
    """What nothing tells apart would be two names for one arithmetic."""
    base = preset("onnx").to_json()
    variants = []
    for value in AXES[axis]:
        axes = {**base, axis: value}
        if contradiction(axes) is None:
            variants.append(Contract.from_json(f"{axis}={value}", axes))
    for a in variants:
        for b in variants:
            if a is not b:
                verdict = diverge(a, b).stages["quantize"]
                assert verdict == "differ", f"{a.name} and {b.name} are not told apart"
