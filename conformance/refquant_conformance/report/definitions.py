"""What each value of each axis means, in a few words: for people who read a report.

The normative text is ``docs/spec/operators.md``; this is what fits a table.
"""

from collections.abc import Mapping
from types import MappingProxyType

from refquant.contracts.axes import AxisValue

__all__ = ["AXES", "define"]

AXES: Mapping[str, str] = MappingProxyType(
    {
        "rounding": "which integer a real becomes, above all at a tie",
        "scale_op": "how x / s is formed",
        "zero_point_at": "where the zero point is added",
        "clamp": "whether values are cut off before or after rounding",
        "overflow": "what a value beyond the range becomes",
        "nan": "which code NaN gets",
        "requantize": "how an accumulator is scaled to codes",
        "accumulator": "how products are summed",
        "add": "how two codes with different scales are added",
        "average_pool": "how a mean of a window is rounded",
        "mean": "how a mean over axes is rounded",
        "softmax": "how exponentials and their sum are formed",
    }
)
"""What an axis is about."""

_VALUES: Mapping[tuple[str, AxisValue], str] = MappingProxyType(
    {
        ("rounding", "half_even"): "nearest, ties to the even integer",
        ("rounding", "half_away"): "nearest, ties away from zero",
        ("rounding", "half_up"): "nearest, ties upwards",
        ("rounding", "half_down"): "nearest, ties downwards",
        ("rounding", "toward_zero"): "the fraction is dropped",
        ("rounding", "floor"): "downwards",
        ("rounding", "ceil"): "upwards",
        ("scale_op", "divide_f32"): "float32 division",
        ("scale_op", "reciprocal_f32"): "float32 multiplication by the rounded 1/s",
        ("scale_op", "divide_f64"): "float64 division",
        ("zero_point_at", "after_rounding"): "as an integer, after rounding",
        ("zero_point_at", "before_rounding"): "as a float, before rounding",
        ("zero_point_at", "fused"): "in the same operation as the multiplication, one rounding",
        ("clamp", "after_rounding"): "after rounding",
        ("clamp", "before_rounding"): "before rounding",
        ("overflow", "saturate"): "the nearest code",
        ("overflow", "int32_cast"): "a cast to int32 first: beyond it, -2^31",
        ("overflow", "wrap"): "its lowest bits",
        ("nan", "qmin"): "the lowest code",
        ("nan", "qmax"): "the highest code",
        ("nan", "zero_point"): "the zero point",
        ("nan", "zero"): "the code 0",
        ("nan", "int32_min"): "that of -2^31",
        ("nan", "error"): "refused",
        ("accumulator", "int32_exact"): "exact int32",
        ("accumulator", "int32_wrap"): "int32, wrapping",
        ("requantize", "float_rne"): "float32 product, nearest, ties to even",
        ("requantize", "gemmlowp_double"): "31-bit multiply, then shift, each rounded: ties away",
        ("requantize", "neon_double"): "the same, the second rounding ties upwards",
        ("requantize", "single"): "31-bit multiply and shift, rounded once, ties upwards",
        ("requantize", "float64_half_away"): "float64 product, ties away from zero",
    }
)


def define(axis: str, value: AxisValue) -> str:
    """Return what a value means, or where it is written if it needs more than a line.

    >>> define("rounding", "half_even")
    'nearest, ties to the even integer'
    """
    return _VALUES.get((axis, value), "docs/spec/operators.md")
