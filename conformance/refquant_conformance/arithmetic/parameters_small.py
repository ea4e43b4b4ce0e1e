r"""Parameters of ranges so small that their scale is no normal float32, where nothing replaces it.

Two more values of ``small_range``. With s the float32 quotient of the range and its steps:

``replace_zero``  a scale of 0 becomes ``zero_range_scale``, after (1); a subnormal one stays
``kept``          a scale of 0 stays, too; a range of one number is not widened to 0

.. math::

    z = \operatorname{clamp}(\operatorname{round}(q_{min} \ominus lo \oslash s)), \qquad
    \mathrm{NaN} \mapsto 0                                                              \tag{1}

and where s is normal, both are ``replace``. They stand beside float32 scales that nothing else
changes, and beside the two plain rules of symmetric scales.

One more value of ``zero_point`` of symmetric parameters: ``integer_below`` is the middle rounded
down, 127 and not 128 of uint8.

References
----------
compressed-tensors ``quantization/utils/helpers.py``; optimum-quanto ``tensor/optimizers``; PyTorch
``ao/quantization/observer.py``.
"""

from collections.abc import Callable

import numpy as np

from refquant_conformance.arithmetic.base import Axes, Outputs
from refquant_conformance.oracle_small_ranges import small_exact
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import code_range

__all__ = ["BELOW", "KEPT", "belongs_elsewhere", "kept", "kept_exactly"]

KEPT = ("replace_zero", "kept")
BELOW = "integer_below"
_TINY = np.float32(2.0**-126)
_PLAIN = {
    **{"parameter_dtype": "float32", "inverse": "of_scale", "scale_dtype": "float32"},
    "zero_point_dtype": "parameter_dtype",
}
_RULES = ("amax_over_qmax", "amax_over_half_range", None)


def belongs_elsewhere(axes: Axes) -> bool:
    """Return whether a value of this file stands beside others that it does not go with.

    >>> belongs_elsewhere({"small_range": "kept", "scale_dtype": "float16"})
    True
    """
    if axes.get("zero_point") == BELOW and axes["symmetric_scale"] != "amax_over_half_range":
        return True
    if axes["small_range"] not in KEPT:
        return False
    plain = all(axes.get(axis, value) == value for axis, value in _PLAIN.items())
    one = axes["small_range"] != "kept" or axes.get("zero_range_scale") == 1.0
    ends = axes.get("zero_point_from") != "nearer_end"
    return not (plain and one and ends and axes.get("symmetric_scale") in _RULES)


def _scale_and_low(case: Case, axes: Axes) -> tuple[Array, Array]:
    """Return the float32 quotient, and the lower end of the range that it is of."""
    x, (qmin, qmax) = case.inputs["x"], code_range(str(case.params["code"]))
    lo, hi = x.min(), x.max()
    with np.errstate(all="ignore"):
        if case.params["symmetric"]:
            over = _divisor(qmin, qmax, axes)
            return np.maximum(np.abs(lo), np.abs(hi)) / np.float32(over), lo
        if axes["range_includes_zero"] or (lo == hi and axes["small_range"] != "kept"):
            lo, hi = np.minimum(lo, np.float32(0)), np.maximum(hi, np.float32(0))
        return (hi - lo) / np.float32(qmax - qmin), lo


def _divisor(qmin: int, qmax: int, axes: Axes) -> float:
    if axes["symmetric_scale"] == "amax_over_half_range":
        low = qmin + 1 if qmin < 0 and axes["weight_range"] == "narrow" else qmin
        return (qmax - low) / 2
    return float(qmax - _middle(qmin, qmax, axes))


def _middle(qmin: int, qmax: int, axes: Axes) -> int:
    if qmin < 0 or axes["zero_point"] == "none":
        return 0
    return (qmax + (axes["zero_point"] == "integer")) // 2


def kept(case: Case, axes: Axes, replaced: Callable[[], Outputs | None]) -> Outputs | None:
    """Return scale and zero point; ``replaced`` computes what ``replace`` does."""
    scale, lo = _scale_and_low(case, axes)
    if scale >= _TINY:
        return replaced()
    qmin, qmax = code_range(str(case.params["code"]))
    if case.params["symmetric"]:
        zero_point = _middle(qmin, qmax, axes)
    else:
        with np.errstate(all="ignore"):
            low = lo / scale
            late = axes["zero_point_from"] == "qmin_after_rounding"
            real = np.float32(qmin) - (_rounded(low, axes) if late else low)
            whole = real if late else _rounded(real, axes)
        zero_point = 0 if np.isnan(whole) else int(np.clip(whole, qmin, qmax))
    if scale == 0 and axes["small_range"] == "replace_zero":
        scale = np.asarray(axes["zero_range_scale"])
    return {"scale": np.asarray(scale, np.float32), "zero_point": np.asarray(zero_point, np.int32)}


def _rounded(v: Array, axes: Axes) -> Array:
    away = np.trunc(v + np.copysign(0.5, v))  # float64: the sum is exact
    return np.rint(v) if axes["zero_point_rounding"] == "half_even" else np.asarray(away)


def kept_exactly(case: Case, axes: Axes, ends: tuple[float, float]) -> tuple[float, int] | None:
    """Return the twin of ``kept`` by the oracle; None where it computes what ``replace`` does."""
    return small_exact(
        *ends,
        codes=code_range(str(case.params["code"])),
        symmetric=bool(case.params["symmetric"]),
        axes=axes,
    )
