"""Presets of TFLite (LiteRT): its reference kernels, its optimized ones, and XNNPACK, its delegate.

One tool, three arithmetics, by build flags and by the operator at hand; every axis spelled out.
"""

from dataclasses import replace

from refquant.contracts.contract import Contract
from refquant.contracts.provenance import Provenance, Source

__all__ = ["TFLITE", "TFLITE_REFERENCE"]

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
    mean="float_zero_point",
    softmax="unspecified",
)

# TFLite / LiteRT 2.3.0 reference kernels: reference/quantize.h (TfLiteRound is std::round; the cast
# to int32 comes before the clamp, so 3e9 and NaN become -2^31, and zero point -1 wraps that to
# 2^31 - 1), reference/integer_ops/{conv,add,pooling}.h, gemmlowp/fixedpoint. QUANTIZE measured as
# above: every value agrees. TensorFlow's later sources clamp in double instead. Ranges: the 8-bit
# specification (weights in [-127, 127]).
TFLITE_REFERENCE = Contract(
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
    mean="folded_multiplier",
    softmax="fixed_point_table",
)

# Its FULLY_CONNECTED for int8 alone rescales in double and rounds once, by std::round: another
# arithmetic beside the rest (reference/integer_ops/fully_connected.h). Measured on whole models.
_TFLITE_REFERENCE_FC = replace(
    TFLITE_REFERENCE, name="tflite_reference_fc", requantize="float64_half_away"
)

# int16 activations with int8 weights (16x8): CONV_2D and DEPTHWISE_CONV_2D sum in int64 and
# rescale with 15 bits of the multiplier (internal/common.cc); else as the reference kernels.
_TFLITE_INT16 = replace(TFLITE_REFERENCE, name="tflite_int16", requantize="tflite_int64")

# MUL, reference and optimized, forms its multiplier in float32 (kernels/mul.cc: a product and a
# quotient of floats, then a double). Measured: -137 * 158 with scales 0.13583167, 0.4941183 and
# 2905.714 is -1; with the multiplier in float64 it would be 0.
_TFLITE_MUL = replace(TFLITE_REFERENCE, name="tflite_mul", requantize="gemmlowp_double_f32")

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
    mean="folded_multiplier",
    softmax="float_table",
)

_LITERT = "google-ai-edge/LiteRT"
_KERNELS = "tflite/kernels/internal"

TFLITE: tuple[Provenance, ...] = (
    Provenance(
        _XNNPACK,
        "XNNPACK's vector kernels of quantization; parameters as TFLite chooses them.",
        (
            Source("google/XNNPACK", "src/f32-qs8-vcvt/", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/quantization_util.h", "2026-08-21"),
        ),
        measured="codes of QUANTIZE, LiteRT 2.3.0 with its XNNPACK delegate, x86",
        differs="The scalar fallback adds the zero point before rounding.",
    ),
    Provenance(
        TFLITE_REFERENCE,
        "TFLite's reference kernels (AffineQuantize, integer_ops), and ChooseQuantizationParams.",
        (
            Source(_LITERT, f"{_KERNELS}/reference/quantize.h", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/quantization_util.h", "2026-08-21"),
        ),
        measured="codes of QUANTIZE, LiteRT 2.3.0, reference kernels, x86",
        differs="A range of zeros has scale 0 there.",
    ),
    Provenance(
        _TFLITE_REFERENCE_FC,
        "TFLite's reference FULLY_CONNECTED of int8; else as `tflite_reference`.",
        (
            Source(_LITERT, f"{_KERNELS}/reference/integer_ops/fully_connected.h", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/quantization_util.h", "2026-08-21"),
        ),
        measured="codes of FULLY_CONNECTED, LiteRT 2.3.0, reference kernels, x86",
        differs="A range of zeros has scale 0 there.",
    ),
    Provenance(
        _TFLITE_INT16,
        "TFLite's layers of int16 activations and int8 weights; else as `tflite_reference`.",
        (
            Source(_LITERT, f"{_KERNELS}/common.cc", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/reference/integer_ops/conv.h", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/quantization_util.h", "2026-08-21"),
        ),
        measured="codes of CONV_2D and DEPTHWISE_CONV_2D of int16, LiteRT 2.3.0, x86",
        differs="A range of zeros has scale 0 there.",
    ),
    Provenance(
        _TFLITE_MUL,
        "TFLite's MUL of int8, reference and optimized; else as `tflite_reference`.",
        (
            Source(_LITERT, "tflite/kernels/mul.cc", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/quantization_util.h", "2026-08-21"),
        ),
        measured="codes of MUL, LiteRT 2.3.0, reference and builtin kernels, x86",
        differs="A range of zeros has scale 0 there.",
    ),
    Provenance(
        _TFLITE_BUILTIN,
        "LiteRT's optimized kernels on x86 without the XNNPACK delegate.",
        (
            Source(_LITERT, f"{_KERNELS}/optimized/optimized_ops.h", "2026-08-21"),
            Source(_LITERT, f"{_KERNELS}/quantization_util.h", "2026-08-21"),
        ),
        measured="codes of QUANTIZE, LiteRT 2.3.0, builtin kernels, x86",
        differs="The last n mod 8 values of a vector are half_away and divide_f64.",
    ),
)
