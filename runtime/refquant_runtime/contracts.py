"""The arithmetics that this runtime executes, bit for bit; every other is refused by name.

A contract in a file is a name and a value for each axis (``docs/concepts/contracts.md``). The axes
that say how parameters were *chosen* do not concern an executor; those that say what is *computed*
must be exactly the ones below.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from refquant_runtime.errors import UnsupportedError

__all__ = ["EXECUTED", "Arithmetic", "arithmetic_of"]


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


_CHOICE_AXES = {
    "weight_range", "symmetric_scale", "negative_scale", "range_includes_zero",
    "zero_range_scale", "parameter_dtype",
}  # fmt: skip
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


def arithmetic_of(path: object, name: str, axes: Mapping[str, Any]) -> Arithmetic:
    """Return the arithmetic of a file's contract, or refuse it by name and axis.

    >>> arithmetic_of("m.rq", "torch", {})
    Traceback (most recent call last):
    refquant_runtime.errors.UnsupportedError: m.rq: contract 'torch' is not executed by this \
runtime; quantize with one of ort, xnnpack, tflite_reference
    """
    remedy = f"quantize with one of {', '.join(EXECUTED)}"
    if name not in EXECUTED:
        raise UnsupportedError(
            f"{path}: contract {name!r} is not executed by this runtime; {remedy}"
        )
    known = EXECUTED[name]
    if odd := sorted(axes.keys() ^ (known.keys() | _CHOICE_AXES)):
        raise UnsupportedError(
            f"{path}: contract {name!r}: axis {odd[0]!r} is missing or unknown; {remedy}"
        )
    for axis, value in known.items():
        if axes[axis] != value:
            raise UnsupportedError(
                f"{path}: contract {name!r}: axis {axis!r} is {axes[axis]!r}, this runtime's "
                f"{name!r} has {value!r}; {remedy}"
            )
    if axes["negative_scale"] is not False:
        raise UnsupportedError(f"{path}: contract {name!r}: negative scales; {remedy}")
    return Arithmetic(
        name, _RULES[name], known["nan"], known["requantize"], known["add"],
        known["average_pool"], known["softmax"],
    )  # fmt: skip
