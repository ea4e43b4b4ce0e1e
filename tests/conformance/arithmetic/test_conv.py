"""Convolutions of codes: the reference's operator, the oracle window by window."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.conv import conv_quantized
from refquant_conformance.arithmetic.base import Arithmetic, axes_of
from refquant_conformance.arithmetic.conv import QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV
from refquant_conformance.arithmetic.conv_probes import shapes
from tests.conformance.arithmetic.families import assert_alone, assert_told_apart, computed

AXES = {"requantize": "float_rne", "multiplier": "product_f32", "accumulator": "int32_wrap"}


@pytest.mark.parametrize("base", ["onnx", "tflite_reference", "tflite_builtin"])
@pytest.mark.parametrize("arithmetic", [QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV])
def test_with_the_axes_of_a_preset_it_is_the_references_operator(
    arithmetic: Arithmetic, base: str
) -> None:
    for case in shapes("u8_i8", depthwise=arithmetic is QLINEAR_DEPTHWISE_CONV):
        made = arithmetic.compute(case, axes_of(preset(base), arithmetic))
        i, p = case.inputs, case.params
        rules: dict[str, Any] = {
            f"{n}_qparams": QParams(
                i[f"{n}_scale"], np.int32(i[f"{n}_zero_point"]), None, case.types[n]
            )
            for n in ("x", "w", "y")
        }
        window: dict[str, Any] = {
            name: p[name] for name in ("strides", "pads", "dilations", "group")
        }
        expected = conv_quantized(
            i["x"], i["w"], i.get("bias"), **rules, **window, contract=preset(base)
        )
        assert made is not None, "refused"
        assert (made["y"] == expected).all(), f"{dict(p)}"


@pytest.mark.parametrize("arithmetic", [QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV])
@pytest.mark.parametrize("scheme", ["u8_i8", "i8_i8_channel"])
def test_the_oracle_counts_the_same(arithmetic: Arithmetic, scheme: str) -> None:
    rng = np.random.default_rng(1)
    for requantize in ("float_rne", "gemmlowp_double", "neon_double", "neon_double_by_eight"):
        if requantize not in arithmetic.axes["requantize"]:
            continue
        for accumulator in ("int32_wrap", "i16_pair_saturate"):
            axes = {**AXES, "requantize": requantize, "accumulator": accumulator}
            for case in list(arithmetic.probes(scheme))[::4]:
                y = computed(arithmetic, case, axes)
                for index in rng.integers(0, y.size, 2):
                    exact = arithmetic.exact(case, axes, "y", int(index))
                    assert y.reshape(-1)[index] == exact, f"{axes}, {dict(case.params)}, {index}"


@pytest.mark.parametrize("arithmetic", [QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV])
@pytest.mark.parametrize(
    "axis", ["accumulator", pytest.param("requantize", marks=pytest.mark.slow)]
)
def test_probes_tell_the_values_of_an_axis(arithmetic: Arithmetic, axis: str) -> None:
    bases = [{**AXES, "multiplier": m} for m in ("product_f64", "product_f32", "input_ratio_f32")]
    assert_told_apart(arithmetic, "u8_i8", axis, *bases)


@pytest.mark.slow
def test_probes_tell_multipliers_where_they_are_of_float64() -> None:
    assert_told_apart(QLINEAR_CONV, "u8_i8", "multiplier", {**AXES, "requantize": "single"})


@pytest.mark.parametrize("arithmetic", [QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV])
def test_a_window_alone_is_the_window_among_others(arithmetic: Arithmetic) -> None:
    assert_alone(arithmetic, "u8_i8_channel", AXES)


def test_eight_channels_at_a_time_round_in_another_way() -> None:
    """Found in LiteRT 2.3.0: the first 8 floor(M/8) channels are NEON's, the rest gemmlowp's."""
    case = next(iter(QLINEAR_DEPTHWISE_CONV.probes("i8_i8")))
    made = {
        mode: computed(QLINEAR_DEPTHWISE_CONV, case, {**AXES, "requantize": mode})
        for mode in ("neon_double", "gemmlowp_double", "neon_double_by_eight")
    }
    whole = case.inputs["w"].shape[0] // 8 * 8
    mixed = made["neon_double_by_eight"]
    assert (mixed[:, :whole] == made["neon_double"][:, :whole]).all(), "eights"
    assert (mixed[:, whole:] == made["gemmlowp_double"][:, whole:]).all(), "the rest"
