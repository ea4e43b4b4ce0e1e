"""The presets: contracts named after who computes so, each with its source.

A preset is what an implementation *does*, established from its code or by running it, and not what
it says. Where the two differ, or where a family has several kernels, the comment says which one
this is. The axis ``negative_scale`` is False in all of them: none of these computes with one.
"""

from collections.abc import Mapping
from types import MappingProxyType

from refquant.contracts.contract import Contract

__all__ = ["PRESETS", "preset"]

# The operator texts of ONNX, opset 21-25 (onnx/defs/quantization/defs.cc): y = saturate(
# round_half_even(x / y_scale) + y_zero_point); the range of DynamicQuantizeLinear includes zero.
# The text gives NaN no code: qmin is what onnx.reference 1.23 makes of it. It has no quantized Add,
# AveragePool or Softmax: a model says DequantizeLinear -> op -> QuantizeLinear, hence `dequantize`.
# Not the evaluator's other habits: it casts to int32 before it clips, and its QLinearConv adds the
# zero point before rounding; both contradict the text.
_ONNX = Contract(
    name="onnx",
    rounding="half_even",
    scale_op="divide_f32",
    zero_point="integer",
    zero_point_at="after_rounding",
    clamp="after_rounding",
    overflow="saturate",
    nan="qmin",
    weight_range="full",
    symmetric_scale="amax_over_qmax",
    asymmetric_scale="width_over_steps",
    negative_scale=False,
    range_includes_zero=True,
    small_range="replace",
    zero_range_scale=1.0,
    parameter_dtype="float32",
    inverse="of_scale",
    scale_dtype="float32",
    zero_point_from="qmin",
    zero_point_rounding="half_even",
    zero_point_dtype="parameter_dtype",
    accumulator="int32_exact",
    requantize="float_rne",
    add="dequantize",
    average_pool="float_multiplier",
    softmax="dequantize",
)

# onnxruntime 1.32, CPU: QuantizeLinear measured (tests/refquant/contracts/test_ort.py). Parameters
# as its quantizer chooses them (onnxruntime/quantization/quant_utils.py, compute_scale_zp): in
# float64 (since 1.31; before, the range was subtracted in float32), 2*amax / (qmax - qmin), int8
# weights in [-127, 127], scale 1 for a range too small.
# Its int4 weights use the full range [-8, 7]: for them say weight_range "full".
_ORT = Contract(
    name="ort",
    rounding="half_even",
    scale_op="divide_f32",
    zero_point="integer",
    zero_point_at="after_rounding",
    clamp="after_rounding",
    overflow="saturate",
    nan="qmin",
    weight_range="narrow",
    symmetric_scale="amax_over_half_range",
    asymmetric_scale="width_over_steps",
    negative_scale=False,
    range_includes_zero=True,
    small_range="replace",
    zero_range_scale=1.0,
    parameter_dtype="float64",
    inverse="of_scale",
    scale_dtype="float32",
    zero_point_from="qmin",
    zero_point_rounding="half_even",
    zero_point_dtype="parameter_dtype",
    accumulator="int32_exact",
    requantize="float_rne",
    add="dequantize",
    average_pool="float_multiplier",
    softmax="dequantize",
)

# XNNPACK, the kernels that run (src/f32-qs8-vcvt/, f32-qu8-vcvt/: x * (1.0f / scale), clamp to
# [qmin - zp, qmax - zp], lrintf, + zp). Measured through LiteRT 2.3.0 on x86: QUANTIZE to int8 and
# uint8 agrees on 53,550 values at and beside ties, beyond the range, and NaN. Its slow fallback
# (src/reference/unary-elementwise.cc) adds the zero point before rounding. XNNPACK chooses no
# parameters: those axes are TFLite's, whose delegate it is.
_XNNPACK = Contract(
    name="xnnpack",
    rounding="half_even",
    scale_op="reciprocal_f32",
    zero_point="integer",
    zero_point_at="after_rounding",
    clamp="before_rounding",
    overflow="saturate",
    nan="qmax",
    weight_range="narrow",
    symmetric_scale="amax_over_qmax",
    asymmetric_scale="width_over_steps",
    negative_scale=False,
    range_includes_zero=True,
    small_range="replace",
    zero_range_scale=1.0,
    parameter_dtype="float64",
    inverse="of_scale",
    scale_dtype="float32",
    zero_point_from="nearer_end",
    zero_point_rounding="half_away",
    zero_point_dtype="parameter_dtype",
    accumulator="int32_exact",
    requantize="float_rne",
    add="xnnpack_shift20",
    average_pool="float_multiplier",
    softmax="unspecified",
)

# TFLite / LiteRT 2.3.0 reference kernels: reference/quantize.h (TfLiteRound is std::round; the cast
# to int32 comes before the clamp, so 3e9 and NaN become -2^31, and zero point -1 wraps that to
# 2^31 - 1), reference/integer_ops/{conv,add,pooling}.h, gemmlowp/fixedpoint. QUANTIZE measured as
# above: every value agrees. TensorFlow's later sources clamp in double instead. Ranges: the 8-bit
# specification (weights in [-127, 127]).
_TFLITE_REFERENCE = Contract(
    name="tflite_reference",
    rounding="half_away",
    scale_op="divide_f32",
    zero_point="integer",
    zero_point_at="after_rounding",
    clamp="after_rounding",
    overflow="int32_cast",
    nan="int32_min",
    weight_range="narrow",
    symmetric_scale="amax_over_qmax",
    asymmetric_scale="width_over_steps",
    negative_scale=False,
    range_includes_zero=True,
    small_range="replace",
    zero_range_scale=1.0,
    parameter_dtype="float64",
    inverse="of_scale",
    scale_dtype="float32",
    zero_point_from="nearer_end",
    zero_point_rounding="half_away",
    zero_point_dtype="parameter_dtype",
    accumulator="int32_exact",
    requantize="gemmlowp_double",
    add="tflite_shift20",
    average_pool="half_away",
    softmax="unspecified",
)

# LiteRT 2.3.0 optimized kernels on x86 without the XNNPACK delegate, as measured. FULLY_CONNECTED:
# high product, then a shift with ties up, as NEON's VRSHL. QUANTIZE: this contract in its vector
# loop, eight values a step; the last n mod 8 values are half_away and divide_f64 (both parts agree
# on 3,885 values), so one value has two codes, by its position.
_TFLITE_BUILTIN = Contract(
    name="tflite_builtin",
    rounding="half_even",
    scale_op="reciprocal_f32",
    zero_point="integer",
    zero_point_at="after_rounding",
    clamp="after_rounding",
    overflow="int32_cast",
    nan="int32_min",
    weight_range="narrow",
    symmetric_scale="amax_over_qmax",
    asymmetric_scale="width_over_steps",
    negative_scale=False,
    range_includes_zero=True,
    small_range="replace",
    zero_range_scale=1.0,
    parameter_dtype="float64",
    inverse="of_scale",
    scale_dtype="float32",
    zero_point_from="nearer_end",
    zero_point_rounding="half_away",
    zero_point_dtype="parameter_dtype",
    accumulator="int32_exact",
    requantize="neon_double",
    add="tflite_shift20",
    average_pool="half_away",
    softmax="unspecified",
)

# PyTorch 2, quantize_per_tensor on x86 (FBGEMM include/fbgemm/QuantUtils.h: nearbyint(x * inv_s) +
# zp): measured, every near-tie explained by the reciprocal, NaN -> qmax (per channel it is qmin).
# Parameters: torch/ao/quantization/observer.py, amax / ((qmax - qmin) / 2). The observer floors
# *every* scale at eps = 2^-23; `zero_range_scale` expresses it for a zero range only.
_TORCH = Contract(
    name="torch",
    rounding="half_even",
    scale_op="reciprocal_f32",
    zero_point="integer",
    zero_point_at="after_rounding",
    clamp="after_rounding",
    overflow="saturate",
    nan="qmax",
    weight_range="full",
    symmetric_scale="amax_over_half_range",
    asymmetric_scale="width_over_steps",
    negative_scale=False,
    range_includes_zero=True,
    small_range="floor_scale",
    zero_range_scale=2.0**-23,
    parameter_dtype="float32",
    inverse="of_scale",
    scale_dtype="float32",
    zero_point_from="qmin_after_rounding",
    zero_point_rounding="half_even",
    zero_point_dtype="parameter_dtype",
    accumulator="int32_exact",
    requantize="float_rne",
    add="dequantize",
    average_pool="float_multiplier",
    softmax="dequantize",
)

PRESETS: Mapping[str, Contract] = MappingProxyType(
    {
        contract.name: contract
        for contract in (_ONNX, _ORT, _XNNPACK, _TFLITE_REFERENCE, _TFLITE_BUILTIN, _TORCH)
    }
)
"""Every preset by name."""


def preset(name: str) -> Contract:
    """Return the preset of that name; ``ValueError`` lists the names there are.

    >>> preset("ort").scale_op, preset("torch").scale_op
    ('divide_f32', 'reciprocal_f32')
    """
    if name not in PRESETS:
        raise ValueError(f"unknown contract {name!r}; the presets are {', '.join(PRESETS)}")
    return PRESETS[name]
