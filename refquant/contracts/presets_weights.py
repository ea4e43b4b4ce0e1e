"""Presets of weight quantizers for language models: GPTQ, AWQ, HQQ, MLX, ggml.

Each said as the difference from ONNX, in float32. Their codes are unpacked to floats, or multiplied
in blocks; none has an integer output.
"""

from dataclasses import replace

from refquant.contracts.presets_runtimes import ONNX
from refquant.contracts.provenance import Provenance, Source

__all__ = ["WEIGHTS"]

_WITHOUT_OPERATORS = replace(
    ONNX,
    name="onnx without operators",
    requantize="unspecified",
    add="unspecified",
    average_pool="unspecified",
    mean="unspecified",
    softmax="unspecified",
)

# clamp(round(x / s) + z, 0, maxq). sym: xmin = -xmax, but only where xmin < 0.
_GPTQ = replace(
    _WITHOUT_OPERATORS,
    name="gptq",
    nan="error",
    symmetric_scale="half_range_if_negative",
    small_range="unit_range",
    zero_point_from="qmin_after_rounding",
)

# clamp(round(x / s) + z), z = clamp(-round(min / s)); it asserts that there is no NaN.
_AWQ = replace(
    _WITHOUT_OPERATORS,
    name="awq",
    nan="error",
    symmetric_scale="none",
    range_includes_zero=False,
    small_range="floor_width",
    zero_range_scale=float.fromhex("0x1.4f8b58p-17"),  # float32(1e-5)
    zero_point_from="qmin_after_rounding",
)

# I = maxq / width, which PyTorch computes as (1 / width) * maxq; z = -min * I; round(x * I + z),
# clamp; s = 1 / I.
_HQQ = replace(
    _WITHOUT_OPERATORS,
    name="hqq",
    scale_op="reciprocal_f32",
    zero_point="float",
    zero_point_at="before_rounding",
    nan="zero",
    symmetric_scale="none",
    range_includes_zero=False,
    small_range="hqq_limits",
    inverse="stored_by_reciprocal",
)

# rint((x - b) / s), clamp; the scale has a sign, and the edge of larger magnitude is exact.
_MLX = replace(
    _WITHOUT_OPERATORS,
    name="mlx",
    zero_point="offset",
    zero_point_at="before_scaling",
    nan="zero",
    symmetric_scale="none",
    asymmetric_scale="snapped_edge",
    negative_scale=True,
    range_includes_zero=False,
    small_range="floor_scale",
    zero_range_scale=float.fromhex("0x1.ad7f2ap-24"),  # float32(1e-7)
)

# d = amax / 127, roundf(x * (1 / d)), d stored as float16. No clamp; codes stay in -127..127.
_GGML = replace(
    _WITHOUT_OPERATORS,
    name="ggml",
    rounding="half_away",
    scale_op="reciprocal_f32",
    zero_point="none",
    overflow="wrap",
    nan="zero",
    weight_range="narrow",
    scale_dtype="float16",
)

WEIGHTS: tuple[Provenance, ...] = (
    Provenance(
        _GPTQ,
        "Quantizer.find_params and quantize of the GPTQ repository, without the mse search.",
        (Source("IST-DASLab/gptq", "quant.py", "2023-07-11"),),
        measured="that file, run once with torch 2.13.0: 192,864 codes, but for subnormal scales",
        differs="It has no codes but reals (NaN stays NaN); subnormal scales stay; scales become "
        "float16 when packed.",
    ),
    Provenance(
        _AWQ,
        "pseudo_quantize_tensor of llm-awq with zero points, on float32 weights.",
        (Source("mit-han-lab/llm-awq", "awq/quantize/quantizer.py", "2025-07-17"),),
        measured="that function, run once with torch 2.13.0: 192,864 codes",
        differs="Models in float16 compute all of it in float16.",
    ),
    Provenance(
        _HQQ,
        "HQQ's Quantizer.quantize with optimize=False and round_zero=False.",
        (Source("mobiusml/hqq", "hqq/core/quantize.py", "2025-10-24"),),
        measured="hqq 0.2.8.post1, tests/outsiders/test_presets_hqq.py",
        differs="Its optimizer moves z afterwards; scale and z become the compute dtype.",
    ),
    Provenance(
        _MLX,
        "mlx.core.quantize, mode affine, on the CPU, float32.",
        (Source("ml-explore/mlx", "mlx/backend/cpu/quantized.cpp", "2026-08-22"),),
        measured="mlx 0.32.4 on a CPU, tests/outsiders/test_presets_mlx.py",
        differs="Metal and CUDA have kernels of their own.",
    ),
    Provenance(
        _GGML,
        "quantize_row_q8_0_ref, the portable C of Q8_0.",
        (Source("ggml-org/ggml", "src/ggml-quants.c", "2026-08-21"),),
        measured="gguf 0.19.0, tests/refquant/contracts/test_presets_weights.py",
        differs="A d that is 0 in float16 stays 0; SIMD rounds half even, AVX2 by 127/amax; "
        "Q4_0 and Q5_0 have signed scales (signed_amax_over_qmin) and add 8.5 before they "
        "truncate: refquant.formats.ggml has the bytes.",
    ),
)
