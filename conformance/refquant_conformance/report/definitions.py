"""What each value of each axis means, in a few words: for people who read a report.

The normative text is ``docs/spec/operators.md``; this is what fits a table.
"""

from collections.abc import Mapping
from types import MappingProxyType

from refquant.contracts.axes import AXES as CONTRACT_AXES
from refquant.contracts.axes import AxisValue
from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.report.values import VALUES

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
        "intermediate": "what a quotient of float16 is rounded to before it is a code",
        "dequantize": "in which order a code becomes a real",
        "multiplier": "how three scales become one multiplier",
        "function": "how the real function is computed",
        "table": "how the value of a function becomes a code",
        "codes": "whether signed codes have the lowest one",
        "variance": "how the variance of a row is computed",
        "concat": "how a code becomes a code of another scale and zero point",
        "padding": "what stands where there is no element, or is read from bits that no code has",
        "sums": "in which order products of float32 are added",
        "scale": "whether weights or their sums are multiplied by the scale",
        "source": "how the place of an element in the smaller or larger image is computed",
        "interpolate": "in which arithmetic four neighbours are mixed",
        "range_scale": "how the width of the range is divided",
        "range_zero_point": "how the zero point of the range is rounded",
        "zero_range": "the scale of nothing but zeros",
        "nan_in_range": "what NaN does to a range",
        "weight_range": "whether symmetric codes use the lowest one",
        "symmetric_scale": "what the largest magnitude is divided by",
        "range_includes_zero": "whether a range is widened to hold 0",
        "small_range": "what is done about a range that is nearly nothing",
        "zero_range_scale": "the scale, or the width, of a range that is nothing",
        "parameter_dtype": "the arithmetic in which scale and zero point are chosen",
        "inverse": "which number is multiplied by in the place of a division",
        "scale_dtype": "the type in which the scale is kept",
        "zero_point": "what kind of number a zero point is",
        "zero_point_from": "from which end of the range the zero point is counted",
        "zero_point_rounding": "how the zero point is rounded",
        "zero_point_dtype": "the arithmetic in which the zero point is chosen",
        "via": "whether a number is rounded once, or to float32 first",
        "fp_overflow": "what a number that is too large becomes",
        "infinity": "what an infinity becomes",
        "fnuz_infinity": "what an infinity becomes where the type has none",
        "nan_sign": "what remains of the sign of NaN",
        "nan_becomes": "what NaN becomes where the type has none",
        "e8m0": "how a number becomes a power of two",
        "of_zero": "what 0 becomes where there is no 0",
        "of_negative": "what a negative number becomes where there is no sign",
        "subnormals": "what the smallest codes mean",
        "order": "where in the bytes a code stands",
        "sign": "how negative codes are written",
        "zeros": "how a checkpoint stores a zero point",
        "last_zero": "what the highest stored zero point means",
        "cuts": "where one level of a codebook ends and the next begins",
        "nibbles": "which two elements of a block share a byte",
        "contraction": "whether a product and a sum are rounded once or twice",
        "flavour": "whose code: engines have one for each processor",
    }
)
"""What an axis is about."""


def define(axis: str, value: AxisValue) -> str:
    """Return what a value means, or where it is written if it needs more than a line.

    >>> define("rounding", "half_even"), define("requantize", "rndnu16")
    ('nearest, ties to the even integer', 'docs/spec/operators.md')
    >>> define("add", "dequantize_fused")
    'refquant_conformance/arithmetic/elementwise.py'
    """
    known = VALUES.get((axis, value))
    return known if known is not None else _place(axis, value)


def _place(axis: str, value: AxisValue) -> str:
    """Return the text that defines a value: that of contracts, or the family's own module."""
    if axis == "zero_range_scale" or value in CONTRACT_AXES.get(axis, ()):
        return f"the number {value:g}" if isinstance(value, float) else "docs/spec/operators.md"
    for arithmetic in ARITHMETICS:
        if value in arithmetic.axes.get(axis, ()):
            module = arithmetic.compute.__module__.replace(".", "/")
            return f"{module}.py"
    return "not an axis of this edition"
