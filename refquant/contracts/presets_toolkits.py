"""Presets of toolkits that quantize models: what they choose, and the codes they make.

torchao, compressed-tensors, Model-Optimizer, AIMET, QONNX, quanto, qwix, bitsandbytes: each said as
the difference from ONNX, in float32. None has integer operators of its own.
"""

from dataclasses import replace

from refquant.contracts.presets_runtimes import ONNX
from refquant.contracts.provenance import Provenance, Source

__all__ = ["TOOLKITS"]

_WITHOUT_OPERATORS = replace(
    ONNX,
    name="onnx without operators",
    nan="zero",
    requantize="unspecified",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)

# quantize_affine: round(x * (1 / s)) + z, clamp, cast. eps is the smallest normal float32.
_TORCHAO = replace(
    _WITHOUT_OPERATORS,
    name="torchao",
    scale_op="reciprocal_f32",
    symmetric_scale="amax_over_half_range",
    small_range="floor_scale",
    zero_range_scale=2.0**-126,
    zero_point_from="qmin_after_rounding",
)

# x / s + z, clamp, round, cast. A scale of 0 becomes eps, when z is NaN already, and so 0.
_COMPRESSED_TENSORS = replace(
    _WITHOUT_OPERATORS,
    name="compressed_tensors",
    zero_point_at="before_rounding",
    clamp="before_rounding",
    symmetric_scale="amax_over_half_range",
    zero_range_scale=2.0**-23,
)

# round(x * (127 / amax)), clamp. Fake quantization: NaN stays NaN.
_MODELOPT = replace(
    _WITHOUT_OPERATORS,
    name="modelopt",
    scale_op="reciprocal_f32",
    zero_point="none",
    nan="error",
    weight_range="narrow",
    small_range="amax_to_2_24",
    inverse="stored",
)

# Clamp to the encoding's min and max, then C's round() of x / delta - offset: codes count from 0,
# so ties go up, also below zero. Range and offset in double; the gate widens a range to 1e-5.
_AIMET = replace(
    _WITHOUT_OPERATORS,
    name="aimet",
    rounding="half_up",
    zero_point_at="before_rounding",
    clamp="before_rounding",
    nan="qmax",
    small_range="floor_width",
    zero_range_scale=float.fromhex("0x1.4f8b58p-17"),  # float32(1e-5)
    parameter_dtype="float64",
    zero_point_from="qmin_after_rounding",
    zero_point_rounding="half_away",
)

# IntQuant: clamp of x / s + z, then a rounding function (ROUND is np.round); then back to reals.
_QONNX = replace(
    _WITHOUT_OPERATORS,
    name="qonnx",
    zero_point_at="before_rounding",
    clamp="before_rounding",
    nan="error",
    weight_range="narrow",
)

# Activations and int8 weights: round(x / s), clamp. int2 and int4 weights: round((x + shift) / s).
_QUANTO = replace(
    _WITHOUT_OPERATORS,
    name="quanto",
    zero_point="offset",
    zero_point_at="before_scaling",
    range_includes_zero=False,
)

# x / s + z, round, saturating cast; XLA makes x / s a product with f32(1/s), the scale being
# broadcast. The symmetric bound of integers is qmax + 1/2.
_QWIX = replace(
    _WITHOUT_OPERATORS,
    name="qwix",
    scale_op="reciprocal_f32",
    zero_point_at="before_rounding",
    symmetric_scale="amax_over_half_range",
    small_range="below_sqrt_tiny",
)

# int8_vectorwise_quant, the portable kernel: round(x * (127 / absmax)), cast, no clamp. PyTorch
# computes a number over a tensor as (1 / absmax) * 127.
_BITSANDBYTES = replace(
    _WITHOUT_OPERATORS,
    name="bitsandbytes",
    scale_op="reciprocal_f32",
    zero_point="none",
    overflow="wrap",
    weight_range="narrow",
    inverse="of_range",
)

TOOLKITS: tuple[Provenance, ...] = (
    Provenance(
        _TORCHAO,
        "torchao's quantize_affine and choose_qparams_affine with integer zero points, float32.",
        (Source("pytorch/ao", "torchao/quantization/quant_primitives.py", "2026-08-21"),),
        measured="torchao 0.18.0, tests/outsiders/test_presets_torch.py",
        differs="Its tinygemm functions have float zero points at the middle of the codes.",
    ),
    Provenance(
        _COMPRESSED_TENSORS,
        "compressed-tensors' calculate_qparams and quantize for integer arguments, float32.",
        (
            Source(
                "vllm-project/compressed-tensors", "quantization/utils/helpers.py", "2026-08-06"
            ),
            Source(
                "vllm-project/compressed-tensors",
                "quantization/lifecycle/forward_helpers.py",
                "2026-08-06",
            ),
        ),
        measured="compressed-tensors 0.20.0, tests/outsiders/test_presets_compressed_tensors.py",
        differs="It keeps subnormal scales.",
    ),
    Provenance(
        _MODELOPT,
        "Model-Optimizer's _tensor_quant in PyTorch, narrow_range, as its CUDA kernel computes.",
        (
            Source(
                "NVIDIA/Model-Optimizer",
                "modelopt/torch/quantization/tensor_quant.py",
                "2026-08-21",
            ),
        ),
        measured="_tensor_quant of that file, run once with torch 2.13.0",
        differs="It has no codes: reals come back by division, code / I, and NaN stays NaN.",
    ),
    Provenance(
        _AIMET,
        "AIMET's DlQuantization on the CPU, ROUND_NEAREST, encodings of getComputedEncodings.",
        (
            Source(
                "quic/aimet",
                "ModelOptimizations/DlQuantization/src/trim_functions.cpp",
                "2024-10-24",
            ),
            Source(
                "quic/aimet",
                "ModelOptimizations/DlQuantization/src/quantization_utils.cpp",
                "2024-10-24",
            ),
        ),
        differs="Codes count from 0 (z = -offset); int8 is its code less 128, after the sum.",
    ),
    Provenance(
        _QONNX,
        "QONNX's int_quant, rounding mode ROUND.",
        (Source("fastmachinelearning/qonnx", "custom_op/general/intquant.py", "2026-02-13"),),
        measured="qonnx 1.0.0, tests/outsiders/test_presets_qonnx.py",
        differs="It chooses no parameters (those axes are ONNX's); narrow unsigned codes end at "
        "2^b - 2, bit widths may be fractions, zero points floats.",
    ),
    Provenance(
        _QUANTO,
        "quanto's quantize_symmetric, and quantize_affine with a float shift (MaxOptimizer).",
        (
            Source(
                "huggingface/optimum-quanto", "optimum/quanto/library/quantize.py", "2025-10-23"
            ),
            Source("huggingface/optimum-quanto", "optimum/quanto/tensor/optimizers/", "2025-10-23"),
        ),
        measured="optimum-quanto 0.2.7, tests/outsiders/test_presets_quanto.py",
        differs="The shift is -b; a range of one point has scale 0, whose codes are cast NaN: 0; "
        "subnormal scales stay.",
    ),
    Provenance(
        _QWIX,
        "qwix' quantize with absmax or minmax calibration, as JAX runs it on a CPU.",
        (
            Source("google/qwix", "qwix/_src/core/qarray.py", "2026-08-13"),
            Source("google/qwix", "qwix/_src/core/numerics.py", "2026-08-13"),
        ),
        measured="qwix 0.1.8 with jax 0.10.2 on a CPU, tests/outsiders/test_presets_qwix.py",
        differs="Its symmetric bound of int16 is 32768, not 32767.5.",
    ),
    Provenance(
        _BITSANDBYTES,
        "LLM.int8's row-wise quantization without outliers, the portable PyTorch kernel.",
        (
            Source(
                "bitsandbytes-foundation/bitsandbytes",
                "bitsandbytes/backends/default/ops.py",
                "2026-08-19",
            ),
        ),
        measured="bitsandbytes 0.50.2, tests/outsiders/test_presets_bitsandbytes.py",
        differs="absmax is stored, not s; a row of zeros has absmax 0.",
    ),
)
