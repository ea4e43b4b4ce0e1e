"""The axes of a contract, the values each may take, and which values exclude each other.

One place for the words: a ``Contract`` has one field for each axis, a model file one key, the page
one row for each value. The order is that of the arithmetic: how a real becomes a code, how a range
becomes parameters, what integer operators do.

Some values need one another. ``EXCLUSIONS`` has a line for each such rule; ``contradiction`` says
which one a choice breaks.

References
----------
``docs/spec/operators.md`` sections 2 and 4 (what each value computes); ``docs/decisions/006`` and
``007`` (why these axes, and not others).
"""

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["AXES", "EXCLUSIONS", "AxisValue", "contradiction"]

AxisValue = str | bool | float

AXES: Mapping[str, tuple[str | bool, ...]] = MappingProxyType(
    {
        "rounding": (
            *("half_even", "half_away", "half_up", "half_down"),
            *("toward_zero", "floor", "ceil"),
        ),
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
            *("replace", "floor_scale", "floor_width", "unit_range"),
            *("below_sqrt_tiny", "amax_to_2_24", "fbgemm_limits", "hqq_limits"),
        ),
        "parameter_dtype": ("float32", "float64"),
        "inverse": ("of_scale", "of_range", "stored", "stored_by_reciprocal"),
        "scale_dtype": ("float32", "float16"),
        "zero_point_from": ("qmin", "qmin_after_rounding", "nearer_end"),
        "zero_point_rounding": ("half_even", "half_away"),
        "zero_point_dtype": ("parameter_dtype", "float64_of_stored_scale"),
        "accumulator": ("int32_exact", "int32_wrap", "float32"),
        "requantize": (
            *("float_rne", "gemmlowp_double", "gemmlowp_double_f32", "neon_double", "single"),
            *("tosa_double", "tosa_single", "scale16", "tflite_int64", "rndnu", "rndnu16"),
            *("emulate_float", "dyadic", "pow2"),
            *("float_zp_before_round", "float_zp_before_round_f32"),
            *("float64_half_away", "unspecified"),
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
)
"""The allowed values of every closed axis. The one open axis is ``zero_range_scale``: a number."""

EXCLUSIONS: tuple[tuple[str, AxisValue, str, AxisValue, str], ...] = (
    ("nan", "int32_min", "overflow", "int32_cast", "the cast that makes it"),
    ("symmetric_scale", "signed_amax_over_qmin", "negative_scale", True, "it gives such scales"),
    ("asymmetric_scale", "snapped_edge", "negative_scale", True, "it gives such scales"),
    ("asymmetric_scale", "snapped_edge", "zero_point", "offset", "the edge is the offset"),
    ("zero_point", "offset", "zero_point_at", "before_scaling", "an offset is subtracted first"),
    ("zero_point_at", "before_scaling", "zero_point", "offset", "only an offset is a real"),
    ("zero_point", "float", "zero_point_at", "before_rounding", "after it, codes are integers"),
    ("nan", "zero_point", "zero_point", "integer", "others are no code"),
    ("zero_point_at", "fused", "scale_op", "reciprocal_f32", "a division cannot be fused"),
    ("inverse", "of_range", "scale_op", "reciprocal_f32", "a division has no inverse"),
    ("inverse", "stored", "scale_op", "reciprocal_f32", "a division has no inverse"),
    ("inverse", "stored_by_reciprocal", "scale_op", "reciprocal_f32", "a division has no inverse"),
    ("scale_dtype", "float16", "scale_op", "reciprocal_f32", "only an inverse outlives the cast"),
)
"""Each entry ``(axis, value, other, needed, why)``: ``axis = value`` needs ``other = needed``."""


def contradiction(axes: Mapping[str, AxisValue]) -> str | None:
    """Return the rule that the choice ``axes`` breaks, as a sentence, or None.

    >>> contradiction({"nan": "int32_min", "overflow": "wrap"})
    "axis 'nan': 'int32_min' needs overflow 'int32_cast' (the cast that makes it); got 'wrap'"
    """
    for axis, value, other, needed, why in EXCLUSIONS:
        if axes.get(axis) == value and axes.get(other, needed) != needed:
            return f"axis {axis!r}: {value!r} needs {other} {needed!r} ({why}); got {axes[other]!r}"
    return None
