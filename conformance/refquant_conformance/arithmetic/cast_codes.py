"""Casts by the reference: the codes of numbers, for one choice of the axes of ``cast``.

Every number is rounded once, from the type it came in, or from float32 where the choice goes that
way. Integers that float64 does not hold are made floats that lie on no tie they are not on.
"""

import math

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics.minifloat import decode, encode
from refquant_conformance.arithmetic.base import Axes, Outputs
from refquant_conformance.arithmetic.cast_probes import FORMAT_OF
from refquant_conformance.protocol import Array, Case

__all__ = ["asked", "computed", "whole"]

_SQRT_HALF = math.sqrt(0.5)  # the float64 above it: no float64 lies between


def whole(x: Array) -> Array:
    """Return integers as float64 that round to at most 50 bits as the integers do.

    What float64 does not hold is cut off and leaves the last bit set, so it lies on no tie.

    >>> [int(v) for v in whole(np.array([5, -(2**60) - 1]))] == [5, -(2**60) - 2**11]
    True
    """
    magnitude = np.where(x < 0, -x.astype(np.uint64), x.astype(np.uint64)).astype(np.uint64)
    high, low = magnitude >> np.uint64(11), magnitude & np.uint64(0x7FF)
    cut = high.astype(np.float64) * 2.0**11
    small = magnitude < np.uint64(2**53)
    odd = np.where(low != 0, high | np.uint64(1), high).astype(np.float64) * 2.0**11
    values = np.where(small, magnitude.astype(np.float64), np.where(low != 0, odd, cut))
    return np.asarray(np.where(x < 0, -values, values))


def asked(case: Case, axes: Axes) -> Axes:
    """Return the axes after the case's attribute ``saturate``, where it has one."""
    wanted = case.params.get("saturate")
    if wanted is None:
        return axes
    policy = "saturate" if wanted else "ieee"
    changed = {name: policy for name in ("fp_overflow", "infinity") if name in axes}
    return {**axes, **changed}


def _read(x: Array, axes: Axes) -> Array:
    """Return the numbers as floats that are rounded once more: eq. (1)."""
    if axes["via"] == "via_f32":
        return x.astype(np.float32)
    return whole(x) if x.dtype.kind == "i" else x


def _policy(name: str, policy: AxisValue) -> str:
    """Return a policy in the reference's words."""
    if policy != "ieee":
        return str(policy)
    return "inf" if FORMAT_OF[name].has_inf else "nan"


def computed(case: Case, axes: Axes) -> Outputs | None:
    """Return the codes of a case; None where NaN is refused."""
    name, axes = case.types["y"], asked(case, axes)
    x = case.inputs["x"]
    missing = np.isnan(x) if x.dtype.kind == "f" else np.zeros(x.shape, bool)
    with np.errstate(all="ignore"):  # infinities and NaN are what is asked
        real = _read(x, axes)
        if name == "float8_e8m0fnu":
            return {"y": _scales(real, axes)}
        codes = _encoded(np.where(missing, real.dtype.type(0), real), name, axes)
    negative = np.signbit(x) if x.dtype.kind == "f" else x < 0
    form = FORMAT_OF[name]
    top = 1 << (form.num_bits - 1)
    if form.nan_code is not None:
        signed = negative & form.negative_zero & (axes.get("nan_sign") == "kept")
        of_nan = form.nan_code | np.where(signed, top, 0)
    elif axes["nan_becomes"] == "error":
        if missing.any():
            return None
        of_nan = np.zeros(x.shape, int)
    else:
        opposite = np.where(negative, 0, top)
        of_nan = {"zero": 0 * opposite, "negative_zero": 0 * opposite + top,
                  "max": 0 * opposite + top - 1, "opposite_zero": opposite}[
                      str(axes["nan_becomes"])]  # fmt: skip
    codes = np.where(missing, of_nan, codes).astype(codes.dtype)
    if axes.get("nan_sign") == "all_ones":  # of what is too large, too
        codes = np.where(np.isnan(decode(codes, form)), codes.dtype.type(2 * top - 1), codes)
    return {"y": codes.view(np.float16) if name == "float16" else codes}


def _encoded(real: Array, name: str, axes: Axes) -> Array:
    form = FORMAT_OF[name]
    default = "saturate" if form.nan_code is None else "ieee"
    infinity = axes.get("fnuz_infinity", axes.get("infinity", default))
    codes: Array = encode(
        real,
        form,
        rounding=str(axes["rounding"]),
        overflow=_policy(name, axes.get("fp_overflow", default)),
        infinity=_policy(name, infinity),
    )
    return codes


def _scales(real: Array, axes: Axes) -> Array:
    """Return E8M0 codes: exponents of two, rounded as ``e8m0`` says."""
    if axes["e8m0"] == "even_code":  # they differ at ties only
        down, up = (_scales(real, {**axes, "e8m0": f"half_{way}"}) for way in ("down", "up_cast"))
        return np.where(down % 2 == 0, down, up)
    form = FORMAT_OF["float8_e8m0fnu"]
    rules = {"floor": "toward_zero", "ceil": "ceil", "half_up_cast": "half_up"}
    rules["half_down"] = "half_down"
    magnitude = np.abs(real)
    if axes["e8m0"] == "nearest_log2":
        m, e = np.frexp(magnitude.astype(np.float64))
        finite = np.isfinite(magnitude)
        near = np.ldexp(1.0, np.clip(e - 1 + (m >= _SQRT_HALF), -1000, 1000))
        magnitude = np.where(finite & (magnitude > 0), near, magnitude.astype(np.float64))
    codes: Array = encode(
        magnitude,
        form,
        rounding=rules.get(str(axes["e8m0"]), "half_even"),
        overflow=_policy("float8_e8m0fnu", axes["fp_overflow"]),
        infinity=_policy("float8_e8m0fnu", axes["infinity"]),
        nan="nan",
    )
    numbers = np.isfinite(real)
    if axes["of_negative"] != "absolute":
        below = numbers & (real < 0)
        codes = np.where(below, 0xFF if axes["of_negative"] == "nan" else 0, codes)
        low = np.isneginf(real)
        codes = np.where(low, 0 if axes["infinity"] == "saturate" else 0xFF, codes)
    elif axes["infinity"] == "saturate":
        codes = np.where(np.isneginf(real), 0, codes)
    zero = 0xFF if axes["of_zero"] == "nan" else 0
    return np.where(real == 0, zero, codes).astype(np.uint8)
