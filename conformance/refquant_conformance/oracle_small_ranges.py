r"""The exact oracle of ranges whose scale is no normal float32, and is not replaced.

Written from the text of ``arithmetic/parameters_small.py``, in fractions that are rounded to
float32 wherever it computes:

.. math::

    s = \operatorname{fl}(span / steps), \qquad
    z = \operatorname{clamp}(\operatorname{round}(\operatorname{fl}(q_{min} -
        \operatorname{fl}(lo / s))))                                                  \tag{1}

References
----------
``arithmetic/parameters_small.py``.
"""

import math
from collections.abc import Mapping
from fractions import Fraction

from refquant_conformance.rational import add, divide, round_exact

__all__ = ["small_exact"]


def small_exact(
    lo: float,
    hi: float,
    *,
    codes: tuple[int, int],
    symmetric: bool,
    axes: Mapping[str, str | bool | float],
) -> tuple[float, int] | None:
    """Return scale and zero point of a small range; None where the rule ``replace`` has them.

    >>> axes = {"small_range": "kept", "range_includes_zero": False, "zero_point_from": "qmin",
    ...         "zero_point_rounding": "half_even"}
    >>> small_exact(-2.0, -2.0, codes=(0, 255), symmetric=False, axes=axes)
    (0.0, 255)
    """
    qmin, qmax = codes
    if symmetric:
        scale = divide(max(abs(lo), abs(hi)), _steps(qmin, qmax, axes))
    else:
        if axes["range_includes_zero"] or (lo == hi and axes["small_range"] != "kept"):
            lo, hi = min(lo, 0.0), max(hi, 0.0)
        scale = divide(add(hi, -lo), float(qmax - qmin))
    if scale >= 2.0**-126:
        return None
    replaced = scale == 0 and axes["small_range"] == "replace_zero"
    stored = float(axes["zero_range_scale"]) if replaced else scale
    if symmetric:
        return stored, _middle(qmin, qmax, axes)
    low, rule = divide(lo, scale), str(axes["zero_point_rounding"])
    if axes["zero_point_from"] == "qmin_after_rounding":
        whole = _whole(low, rule)
        return stored, _code(add(float(qmin), -whole), qmin, qmax)
    return stored, _code(_whole(add(float(qmin), -low), rule), qmin, qmax)


def _whole(v: float, rule: str) -> float:
    return float(round_exact(Fraction(v), rule)) if math.isfinite(v) else v


def _code(v: float, qmin: int, qmax: int) -> int:
    return 0 if math.isnan(v) else int(min(max(v, qmin), qmax))


def _middle(qmin: int, qmax: int, axes: Mapping[str, str | bool | float]) -> int:
    if qmin < 0 or axes["zero_point"] == "none":
        return 0
    return (qmax + 1) // 2 if axes["zero_point"] == "integer" else qmax // 2


def _steps(qmin: int, qmax: int, axes: Mapping[str, str | bool | float]) -> float:
    if axes["symmetric_scale"] == "amax_over_qmax":
        return float(qmax - _middle(qmin, qmax, axes))
    narrow = qmin < 0 and axes.get("weight_range") == "narrow"
    return (qmax - qmin - narrow) / 2
