"""Presets of dynamic-range layers: float32 activations, int8 weights, codes only inside a layer.

LiteRT has four arithmetics for them: its own kernels return to float32 in three orders of the two
scales, and XNNPACK, its delegate, quantizes another way and ends in a fused multiply-add.
"""

from dataclasses import replace

from refquant.contracts.presets_tflite import TFLITE, TFLITE_REFERENCE
from refquant.contracts.provenance import Provenance, Source

__all__ = ["HYBRID"]

_XNNPACK = next(entry.contract for entry in TFLITE if entry.contract.name == "xnnpack")

# tensor_utils: x * I, round half away, cast to int32, then the offset, then the clamp. Symmetric:
# s = amax / 127 beside I = 127 / amax; else the scale is float64 of a float32 width.
_TFLITE_HYBRID = replace(
    TFLITE_REFERENCE,
    name="tflite_hybrid",
    scale_op="reciprocal_f32",
    requantize="float32_of_scales",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)
_TFLITE_HYBRID_CONV = replace(
    _TFLITE_HYBRID, name="tflite_hybrid_conv", requantize="float32_weight_first"
)
_TFLITE_HYBRID_DEPTHWISE = replace(
    _TFLITE_HYBRID, name="tflite_hybrid_depthwise", requantize="float32_weight_first_by_four"
)
# qd8: I = 255 / width first, s = 1 / I; then the vector kernels of QUANTIZE.
_XNNPACK_HYBRID = replace(
    _XNNPACK,
    name="xnnpack_hybrid",
    symmetric_scale="none",
    parameter_dtype="float32",
    inverse="stored",
    zero_point_rounding="half_even",
    requantize="float32_input_first_fused",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
)

_LITERT = "google-ai-edge/LiteRT"
_UTILS = Source(_LITERT, "tflite/kernels/internal/optimized/neon_tensor_utils.cc", "2026-08-21")
_WIDTH = (
    "Parameters are operators.md section 11's: 127 / amax is no reciprocal of the scale, a width "
    "is rounded to float32; groups of eight add one half and truncate: 0.49999997 becomes 1."
)

HYBRID: tuple[Provenance, ...] = (
    Provenance(
        _TFLITE_HYBRID,
        "TFLite's dynamic-range FULLY_CONNECTED, and CONV_2D with one scale.",
        (_UTILS, Source(_LITERT, "tflite/kernels/fully_connected.cc", "2026-08-21")),
        measured="reals of FULLY_CONNECTED, CONV_2D, LiteRT 2.3.0, reference and builtin, x86",
        differs=_WIDTH,
    ),
    Provenance(
        _TFLITE_HYBRID_CONV,
        "TFLite's reference dynamic-range CONV_2D with a scale a channel, or with groups.",
        (_UTILS, Source(_LITERT, "tflite/kernels/internal/reference/conv.h", "2026-08-21")),
        measured="reals of CONV_2D, LiteRT 2.3.0, reference kernels, x86",
        differs=_WIDTH,
    ),
    Provenance(
        _TFLITE_HYBRID_DEPTHWISE,
        "TFLite's optimized dynamic-range DEPTHWISE_CONV_2D.",
        (
            _UTILS,
            Source(
                _LITERT,
                "tflite/kernels/internal/optimized/integer_ops/depthwise_conv_hybrid.h",
                "2026-08-21",
            ),
        ),
        measured="reals of DEPTHWISE_CONV_2D, LiteRT 2.3.0, builtin kernels, x86",
        differs=_WIDTH,
    ),
    Provenance(
        _XNNPACK_HYBRID,
        "XNNPACK's dynamically quantized layers (qd8) where there is a fused multiply-add.",
        (
            Source("google/XNNPACK", "src/xnnpack/quantization.h", "2026-08-21"),
            Source("google/XNNPACK", "src/qd8-f32-qc8w-gemm/", "2026-08-21"),
        ),
        measured="reals of FULLY_CONNECTED, CONV_2D, LiteRT 2.3.0 with XNNPACK, x86",
        differs="Kernels without FMA (SSE, portable C) round once more before the bias.",
    ),
)
