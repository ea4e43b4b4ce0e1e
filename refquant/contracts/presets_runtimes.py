"""Presets of graph runtimes: ONNX, onnxruntime, PyTorch.

Every axis is spelled out here and in ``presets_tflite``; the other families say in what they differ
from one of these.
"""

from refquant.contracts.contract import Contract
from refquant.contracts.provenance import Provenance, Source

__all__ = ["RUNTIMES"]

# The operator texts of ONNX, opset 21-25 (onnx/defs/quantization/defs.cc): y = saturate(
# round_half_even(x / y_scale) + y_zero_point); the range of DynamicQuantizeLinear includes zero.
# The text gives NaN no code: qmin is what onnx.reference 1.23 makes of it. It has no quantized Add,
# AveragePool or Softmax: a model says DequantizeLinear -> op -> QuantizeLinear, hence `dequantize`.
# Not the evaluator's other habits: it casts to int32 before it clips, and its QLinearConv adds the
# zero point before rounding; both contradict the text.
ONNX = Contract(
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
    mean="unspecified",
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
    mean="unspecified",
    softmax="dequantize",
)

# PyTorch 2.13.0, quantize_per_tensor on x86, as measured: the FBGEMM inside rounds one fused
# multiply-add of x, 1/s and z; NaN -> qmax. FBGEMM's later sources add z after rounding (`fbgemm`).
# Parameters: torch/ao/quantization/observer.py, amax / ((qmax - qmin) / 2); the observer floors
# *every* scale at eps = 2^-23.
_TORCH = Contract(
    name="torch",
    rounding="half_even",
    scale_op="reciprocal_f32",
    zero_point="integer",
    zero_point_at="fused",
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
    mean="unspecified",
    softmax="dequantize",
)

RUNTIMES: tuple[Provenance, ...] = (
    Provenance(
        ONNX,
        "The operator texts, opset 21 to 25: QuantizeLinear, and DynamicQuantizeLinear for ranges.",
        (Source("onnx/onnx", "onnx/defs/quantization/defs.cc", "2026-08-22"),),
        measured="onnx 1.23 reference evaluator, but for its cast to int32 before the clip",
        differs="The text gives NaN no code; onnx.reference makes it qmin.",
    ),
    Provenance(
        _ORT,
        "onnxruntime's CPU provider, and compute_scale_zp of its Python quantizer.",
        (Source("onnxruntime (package)", "quantization/quant_utils.py", "1.32.0"),),
        measured="onnxruntime 1.32.0, tests/refquant/contracts/test_ort.py",
        differs="int4 weights use the full range: say weight_range for the tensor at hand.",
    ),
    Provenance(
        _TORCH,
        "quantize_per_tensor on x86, and the scale and zero point of torch.ao's observers.",
        (
            Source("pytorch/pytorch", "torch/ao/quantization/observer.py", "2.13.0"),
            Source("pytorch/FBGEMM", "include/fbgemm/QuantUtils.h", "2026-08-21"),
        ),
        measured="torch 2.13.0, tests/outsiders/test_presets_torch.py",
        differs="quantize_per_channel rounds the product first (before_rounding, NaN is code 0); "
        "fake_quantize adds the zero point after rounding.",
    ),
)
