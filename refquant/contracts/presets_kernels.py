"""Presets of kernel libraries and compilers: integers in, integers out.

gemmlowp, TOSA, CMSIS-NN, FBGEMM, StableHLO, ncnn, TensorRT: said as the difference from ONNX or
from TFLite's reference.
"""

from dataclasses import replace

from refquant.contracts.presets_runtimes import ONNX
from refquant.contracts.presets_tflite import TFLITE_REFERENCE
from refquant.contracts.provenance import Provenance, Source

__all__ = ["KERNELS"]

# The output pipeline is the reference's to the bit: vqrdmulhq is SRDHM, and before its vrshlq the
# NEON code subtracts one from negative values, which turns ties up into ties away (the *other*
# NEON path, TFLite's, lacks that line: `neon_double`). The library quantizes nothing itself; the
# float side is that of its documentation's program: z + x / s, clamped, then std::round; the scale
# in float, the zero point in double. std::min(255, NaN) is 255.
_GEMMLOWP_NEON = replace(
    TFLITE_REFERENCE,
    name="gemmlowp_neon",
    zero_point_at="before_rounding",
    clamp="before_rounding",
    overflow="saturate",
    nan="qmax",
    weight_range="full",
    parameter_dtype="float32",
    zero_point_from="qmin",
    zero_point_dtype="float64_of_stored_scale",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)

# TOSA has no quantize operator: TFLite's importer says x * (1/s), + z in float, CAST; and CAST is
# rint with saturation. Ranges are those of the TFLite models it imports.
_TOSA = replace(
    TFLITE_REFERENCE,
    name="tosa",
    rounding="half_even",
    scale_op="reciprocal_f32",
    zero_point_at="before_rounding",
    overflow="saturate",
    nan="error",
    requantize="tosa_double",
    add="unspecified",
    average_pool="tosa_reciprocal",
    mean="unspecified",
    softmax="unspecified",
)

# CMSIS-NN promises TFLite Micro's bits (arm_nn_requantize without CMSIS_NN_USE_SINGLE_ROUNDING is
# SRDHM, then a shift with ties away), and quantizes nothing: that is TFLite Micro's AffineQuantize.
_CMSIS_NN = replace(TFLITE_REFERENCE, name="cmsis_nn")

# FBGEMM itself: the range is widened and divided in double, the zero point from the end that adds
# smaller terms, in double with the scale as stored, nearbyint.
_FBGEMM = replace(
    ONNX,
    name="fbgemm",
    scale_op="reciprocal_f32",
    nan="qmax",
    symmetric_scale="none",
    small_range="fbgemm_limits",
    zero_range_scale=float.fromhex("0x1.99999ap-4"),  # float32(0.1)
    parameter_dtype="float64",
    zero_point_from="nearer_end",
    zero_point_dtype="float64_of_stored_scale",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)

# The text: x / s + z, clamp, round_nearest_even, convert. Everything else is dequantize, operator,
# quantize; so nothing is requantized from an accumulator.
_STABLEHLO = replace(
    ONNX,
    name="stablehlo",
    zero_point_at="before_rounding",
    clamp="before_rounding",
    nan="error",
    requantize="unspecified",
    average_pool="unspecified",
)

# half away of x * I, cast to int, clamp to -127..127; I = 127 / absmax is what the model file has.
_NCNN = replace(
    ONNX,
    name="ncnn",
    rounding="half_away",
    scale_op="reciprocal_f32",
    zero_point="none",
    overflow="int32_cast",
    nan="int32_min",
    weight_range="narrow",
    inverse="stored",
    requantize="unspecified",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)

# Documentation: round half even of clip(x / s, -128, 127); zero points are 0.
_TENSORRT = replace(
    ONNX,
    name="tensorrt",
    clamp="before_rounding",
    zero_point="none",
    nan="error",
    requantize="unspecified",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)

KERNELS: tuple[Provenance, ...] = (
    Provenance(
        _GEMMLOWP_NEON,
        "gemmlowp's NEON output pipeline; quantization as in its documentation's example program.",
        (
            Source("google/gemmlowp", "fixedpoint/fixedpoint_neon.h", "2023-11-04"),
            Source("google/gemmlowp", "doc/quantization_example.cc", "2023-11-04"),
        ),
        differs="The example has uint8 only; symmetric parameters are TFLite's.",
    ),
    Provenance(
        _TOSA,
        "TOSA RESCALE with double rounding, AVG_POOL2D; quantizing as TFLite models are imported.",
        (
            Source("jerryzhao173985/reference_model", "reference_model/src/ops/", "2025"),
            Source(
                "tensorflow/tensorflow", "compiler/mlir/tosa/transforms/legalize_common.cc", "2023"
            ),
        ),
        differs="CAST of NaN is undefined; operators on tensors are int32, so there is no add.",
    ),
    Provenance(
        _CMSIS_NN,
        "CMSIS-NN with double rounding, under TFLite Micro, whose bits it keeps.",
        (
            Source("ARM-software/CMSIS-NN", "Include/arm_nnsupportfunctions.h", "2026-07-15"),
            Source("tensorflow/tflite-micro", "reference/quantize.h", "2026-08-20"),
        ),
        differs="It is tflite_reference under another name; int16 has paths of its own.",
    ),
    Provenance(
        _FBGEMM,
        "FBGEMM's Quantize and ChooseQuantizationParams, without preserve_sparsity.",
        (
            Source("pytorch/FBGEMM", "include/fbgemm/QuantUtils.h", "2026-08-21"),
            Source("pytorch/FBGEMM", "src/QuantUtils.cc", "2026-08-21"),
        ),
        measured="parameters: the copy in torch 2.13.0, but for its double scale, "
        "tests/outsiders/test_presets_torch.py",
        differs="Its AVX2 loop adds a negative zero point to -2^31, and that wraps.",
    ),
    Provenance(
        _STABLEHLO,
        "The specification's quantize, and dequantize_op_quantize for every operator.",
        (Source("openxla/stablehlo", "docs/spec.md", "2026-08-13"),),
        differs="It chooses no parameters (those axes are ONNX's) and gives NaN no code.",
    ),
    Provenance(
        _NCNN,
        "ncnn's Quantize layer, portable C++, and the tables of ncnn2table.",
        (
            Source("Tencent/ncnn", "src/layer/quantize.cpp", "2026-07-22"),
            Source("Tencent/ncnn", "tools/quantize/ncnn2table.cpp", "2026-07-22"),
        ),
        measured="ncnn 1.0.20261020 on x86, tests/outsiders/test_presets_ncnn.py",
        differs="x86 kernels add one half and truncate: 0.49999997 becomes 1; requantization is "
        "half away after two products.",
    ),
    Provenance(
        _TENSORRT,
        "The documentation of explicit int8 quantization, by division (TensorRT after 10.11).",
        (Source("docs.nvidia.com", "tensorrt/11.0.0 work-quantized-types.html", "11.0.0"),),
        differs="Closed source: NaN, integer operators and the arithmetic of 127 are not said.",
    ),
)
