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

__all__ = ["AXES", "EXECUTED", "Arithmetic", "arithmetic_of", "check_axes"]

Choices = tuple[str | bool, ...]


@dataclass(frozen=True)
class Arithmetic:
    """What the planner needs to know of a contract."""

    name: str
    rule: int  # of kernels.convert: how a real becomes a code
    nan: str  # "qmin", "qmax" or "int32_min"
    requantize: str
    add: str
    average_pool: str
    softmax: str


AXES: Mapping[str, Choices] = {  # and the number zero_range_scale
    "rounding": ("half_even", "half_away", "half_up", "half_down", "toward_zero", "floor", "ceil"),
    "scale_op": ("divide_f32", "reciprocal_f32", "divide_f64"),
    "zero_point_at": ("after_rounding", "before_rounding"),
    "clamp": ("after_rounding", "before_rounding"),
    "overflow": ("saturate", "int32_cast", "wrap"),
    "nan": ("qmin", "qmax", "zero_point", "int32_min", "error"),
    "weight_range": ("full", "narrow"),
    "symmetric_scale": ("amax_over_qmax", "amax_over_half_range", "signed_amax_over_qmin"),
    "negative_scale": (False, True),
    "range_includes_zero": (False, True),
    "parameter_dtype": ("float32", "float64"),
    "accumulator": ("int32_exact", "int32_wrap", "float32"),
    "requantize": (
        *("float_rne", "gemmlowp_double", "neon_double", "single", "tosa_double", "tosa_single"),
        *("scale16", "tflite_int64", "rndnu", "rndnu16", "emulate_float", "dyadic", "pow2"),
        "float_zp_before_round",
    ),
    "add": ("dequantize", "tflite_shift20", "xnnpack_shift20"),
    "average_pool": ("float_multiplier", "half_away"),
    "softmax": ("dequantize", "unspecified"),
}
_COMMON = {"zero_point_at": "after_rounding", "accumulator": "int32_exact"}
EXECUTED: Mapping[str, Mapping[str, Any]] = {
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
        "softmax": "unspecified",
    },
}
_RULES = {"ort": 0, "xnnpack": 1, "tflite_reference": 2}


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
    if axes["nan"] == "int32_min" and axes["overflow"] != "int32_cast":
        raise ValueError("axis 'nan': 'int32_min' needs overflow 'int32_cast'")
    if axes["symmetric_scale"] == "signed_amax_over_qmin" and not axes["negative_scale"]:
        raise ValueError("axis 'symmetric_scale': 'signed_amax_over_qmin' needs negative_scale")


def arithmetic_of(path: object, name: str, axes: Mapping[str, Any]) -> Arithmetic:
    """Return the arithmetic of a file's contract, or refuse it by name and axis.

    >>> arithmetic_of("m.rq", "torch", {})
    Traceback (most recent call last):
    refquant_runtime.errors.UnsupportedError: m.rq: contract 'torch' is not executed by this \
runtime; quantize with one of ort, xnnpack, tflite_reference
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
        name, _RULES[name], known["nan"], known["requantize"], known["add"],
        known["average_pool"], known["softmax"],
    )  # fmt: skip
