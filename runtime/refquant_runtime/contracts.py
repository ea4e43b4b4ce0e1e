"""The arithmetics that this runtime executes, bit for bit; every other is refused by name.

A contract in a file is a name and a value for each axis (``docs/concepts/contracts.md``). The axes
that say how parameters were *chosen* do not concern an executor; those that say what is *computed*
must be exactly the ones below.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refquant_runtime.errors import UnsupportedError

__all__ = ["AXES", "EXECUTED", "TO_REALS", "Arithmetic", "arithmetic_of", "check_axes"]

Choices = tuple[str | bool, ...]


@dataclass(frozen=True)
class Arithmetic:
    """What the planner needs to know of a contract."""

    name: str
    rule: int  # of kernels.convert: how a real becomes a code; -1: for layers of dynamic range only
    nan: str  # "qmin", "qmax" or "int32_min"
    requantize: str
    add: str
    average_pool: str
    mean: str
    softmax: str
    inverse: str
    row_rule: int  # the same for rows of a layer of dynamic range; -1: it has none


AXES: Mapping[str, Choices] = {  # and the number zero_range_scale
    "rounding": ("half_even", "half_away", "half_up", "half_down", "toward_zero", "floor", "ceil"),
    "scale_op": ("divide_f32", "reciprocal_f32", "divide_f64"),
    "zero_point": ("integer", "float", "offset", "none"),
    "zero_point_at": ("after_rounding", "before_rounding", "fused", "before_scaling"),
    "clamp": ("after_rounding", "before_rounding"),
    "overflow": ("saturate", "int32_cast", "wrap"),
    "nan": ("qmin", "qmax", "zero_point", "zero", "int32_min", "error"),
    "weight_range": ("full", "narrow"),
    "symmetric_scale": (
        *("amax_over_qmax", "amax_over_half_range", "half_range_if_negative"),
        *("signed_amax_over_qmin", "none"),
    ),
    "asymmetric_scale": ("width_over_steps", "snapped_edge"),
    "negative_scale": (False, True),
    "range_includes_zero": (False, True),
    "small_range": (
        *("replace", "floor_scale", "floor_width", "unit_range", "below_sqrt_tiny"),
        *("amax_to_2_24", "fbgemm_limits", "hqq_limits"),
    ),
    "parameter_dtype": ("float32", "float64"),
    "inverse": ("of_scale", "of_range", "stored", "stored_by_reciprocal"),
    "scale_dtype": ("float32", "float16"),
    "zero_point_from": ("qmin", "qmin_after_rounding", "nearer_end"),
    "zero_point_rounding": ("half_even", "half_away"),
    "zero_point_dtype": ("parameter_dtype", "float64_of_stored_scale"),
    "accumulator": ("int32_exact", "int32_wrap", "float32"),
    "requantize": (
        *("float_rne", "gemmlowp_double", "neon_double", "single", "tosa_double", "tosa_single"),
        *("scale16", "tflite_int64", "rndnu", "rndnu16", "emulate_float", "dyadic", "pow2"),
        *("float_zp_before_round", "float_zp_before_round_f32", "float64_half_away"),
        *("gemmlowp_double_f32", "unspecified"),
        *("float32_of_scales", "float32_weight_first", "float32_weight_first_by_four"),
        "float32_input_first_fused",
    ),
    "add": ("dequantize", "scale_ratios", "tflite_shift20", "xnnpack_shift20", "unspecified"),
    "average_pool": ("float_multiplier", "half_away", "tosa_reciprocal", "unspecified"),
    "mean": ("folded_multiplier", "float_zero_point", "unspecified"),
    "softmax": (
        *("dequantize", "float_table", "float_table_quotient", "fixed_point_table"),
        "unspecified",
    ),
}
_NEEDS: tuple[tuple[str, str, str, str | bool], ...] = (  # this value needs that one
    ("nan", "int32_min", "overflow", "int32_cast"),
    ("nan", "zero_point", "zero_point", "integer"),
    ("symmetric_scale", "signed_amax_over_qmin", "negative_scale", True),
    ("asymmetric_scale", "snapped_edge", "negative_scale", True),
    ("asymmetric_scale", "snapped_edge", "zero_point", "offset"),
    ("zero_point", "offset", "zero_point_at", "before_scaling"),
    ("zero_point", "float", "zero_point_at", "before_rounding"),
    ("zero_point_at", "before_scaling", "zero_point", "offset"),
    ("zero_point_at", "fused", "scale_op", "reciprocal_f32"),
    ("inverse", "of_range", "scale_op", "reciprocal_f32"),
    ("inverse", "stored", "scale_op", "reciprocal_f32"),
    ("inverse", "stored_by_reciprocal", "scale_op", "reciprocal_f32"),
    ("scale_dtype", "float16", "scale_op", "reciprocal_f32"),
)
_COMMON = {
    "zero_point": "integer",
    "zero_point_at": "after_rounding",
    "accumulator": "int32_exact",
}
EXECUTED: dict[str, Mapping[str, Any]] = {
    "ort": {
        **_COMMON,
        "rounding": "half_even",
        "scale_op": "divide_f32",
        "clamp": "after_rounding",
        "overflow": "saturate",
        "nan": "qmin",
        "requantize": "float_rne",
        "add": "dequantize",
        "average_pool": "float_multiplier",
        "mean": "unspecified",
        "softmax": "dequantize",
    },
    "xnnpack": {
        **_COMMON,
        "rounding": "half_even",
        "scale_op": "reciprocal_f32",
        "clamp": "before_rounding",
        "overflow": "saturate",
        "nan": "qmax",
        "requantize": "float_rne",
        "add": "xnnpack_shift20",
        "average_pool": "float_multiplier",
        "mean": "float_zero_point",
        "softmax": "unspecified",
    },
    "tflite_reference": {
        **_COMMON,
        "rounding": "half_away",
        "scale_op": "divide_f32",
        "clamp": "after_rounding",
        "overflow": "int32_cast",
        "nan": "int32_min",
        "requantize": "gemmlowp_double",
        "add": "tflite_shift20",
        "average_pool": "half_away",
        "mean": "folded_multiplier",
        "softmax": "fixed_point_table",
    },
}
_REFERENCE = EXECUTED["tflite_reference"]
EXECUTED |= {  # LiteRT mixes kernels: one contract each
    "tflite_reference_fc": {**_REFERENCE, "requantize": "float64_half_away"},
    "tflite_int16": {**_REFERENCE, "requantize": "tflite_int64"},
    "tflite_mul": {**_REFERENCE, "requantize": "gemmlowp_double_f32"},
    "tflite_builtin": {
        **_REFERENCE,
        "rounding": "half_even",
        "scale_op": "reciprocal_f32",
        "requantize": "neon_double",
        "softmax": "float_table",
    },
    "ort_elementwise": {  # Add, Mul, AveragePool of onnxruntime, in imported models
        **EXECUTED["ort"],
        "zero_point_at": "before_rounding",
        "requantize": "float_zp_before_round_f32",
        "add": "scale_ratios",
        "softmax": "float_table_quotient",
    },
}
_HYBRID: Mapping[str, Any] = {
    **_REFERENCE,
    **dict.fromkeys(("add", "average_pool", "mean", "softmax"), "unspecified"),
    "scale_op": "reciprocal_f32",
    "inverse": "of_scale",
    "requantize": "float32_of_scales",
}
EXECUTED |= {  # layers of dynamic range
    "tflite_hybrid": _HYBRID,
    "tflite_hybrid_conv": {**_HYBRID, "requantize": "float32_weight_first"},
    "tflite_hybrid_depthwise": {**_HYBRID, "requantize": "float32_weight_first_by_four"},
    "xnnpack_hybrid": {
        **EXECUTED["xnnpack"],
        **dict.fromkeys(("add", "average_pool", "mean"), "unspecified"),
        "inverse": "stored",
        "requantize": "float32_input_first_fused",
    },
}
TO_REALS: Mapping[str, str] = {  # values of requantize that end in reals -> how, for the kernels
    "float32_of_scales": "float32",
    "float32_weight_first": "float32_in_turn",
    "float32_weight_first_by_four": "float32_in_turn",
    "float32_input_first_fused": "float32_fused",
}
_ROW_RULES = {"xnnpack_hybrid": 1, **{name: 2 for name in EXECUTED if "tflite_hybrid" in name}}
_RULES = {  # of kernels.convert
    "ort": 0, "xnnpack": 1, "tflite_reference": 2, "tflite_reference_fc": 2, "tflite_mul": 2,
    "tflite_int16": 2,
    "tflite_builtin": 3, "ort_elementwise": 4,
}  # fmt: skip


def check_axes(axes: Mapping[str, Any]) -> None:
    """Refuse axes that are no arithmetic: every axis once, every value one of its own.

    >>> check_axes({"rounding": "nearest"})
    Traceback (most recent call last):
    ValueError: axis 'scale_op' is missing
    """
    known = (*AXES, "zero_range_scale")
    for axis in known:
        if axis not in axes:
            raise ValueError(f"axis {axis!r} is missing")
    for axis, value in axes.items():
        if axis not in known:
            raise ValueError(f"unknown axis {axis!r}")
        if axis == "zero_range_scale":
            fits = type(value) in (int, float) and 2.0**-126 <= value < 2.0**128
            if not fits or math.fmod(math.frexp(value)[0] * 2**24, 1) != 0:
                raise ValueError(f"axis {axis!r} is {value!r:.40}, not a positive normal float32")
        elif type(value) is not type(AXES[axis][0]) or value not in AXES[axis]:
            raise ValueError(f"axis {axis!r} is {value!r:.40}, none of {list(AXES[axis])}")
    for axis, value, other, needed in _NEEDS:
        if axes[axis] == value and axes[other] != needed:
            raise ValueError(f"axis {axis!r}: {value!r} needs {other} {needed!r}")


def arithmetic_of(path: object, name: str, axes: Mapping[str, Any]) -> Arithmetic:
    """Return the arithmetic of a file's contract, or refuse it by name and axis.

    >>> arithmetic_of("m.rq", "torch", {})
    Traceback (most recent call last):
    refquant_runtime.errors.UnsupportedError: m.rq: contract 'torch' is not executed by this \
runtime; quantize with one of ort, xnnpack, tflite_reference, tflite_reference_fc, tflite_int16, \
tflite_mul, tflite_builtin, ort_elementwise, tflite_hybrid, tflite_hybrid_conv, \
tflite_hybrid_depthwise, xnnpack_hybrid
    """
    remedy = f"quantize with one of {', '.join(EXECUTED)}"
    # The axes themselves were checked by the reader: check_axes.
    if name not in EXECUTED:
        raise UnsupportedError(
            f"{path}: contract {name!r} is not executed by this runtime; {remedy}"
        )
    known = EXECUTED[name]
    for axis, value in known.items():
        if axes.get(axis) != value:
            raise UnsupportedError(
                f"{path}: contract {name!r}: axis {axis!r} is {axes.get(axis)!r}, this runtime's "
                f"{name!r} has {value!r}; {remedy}"
            )
    if axes.get("negative_scale") is not False:
        raise UnsupportedError(f"{path}: contract {name!r}: allows negative scales; {remedy}")
    return Arithmetic(
        name, _RULES.get(name, -1), known["nan"], known["requantize"], known["add"],
        known["average_pool"], known["mean"], known["softmax"],
        str(known.get("inverse", "of_scale")), _ROW_RULES.get(name, -1),
    )  # fmt: skip
