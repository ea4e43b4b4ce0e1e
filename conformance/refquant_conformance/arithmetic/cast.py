r"""Casts to small floats: which code a number gets, in four families of targets.

.. math::

    code = \operatorname{encode}(\operatorname{round}(\mathrm{fl}(x)))            \tag{1}

fl is the identity for ``via = direct``, and rounds to float32 for ``via_f32``: what most
converters of float64 and of integers do, and what rounds twice. The families differ in what a
number becomes that no code stands for:

==================  =====================================================================
FP8 of OCP          ``fp_overflow`` and ``infinity``: saturate, ieee (infinity, or NaN where
                    there is none), nan; ``nan_sign``
FP8 with one zero   ``fp_overflow``; ``fnuz_infinity``
float16, bfloat16   ``nan_sign``; what is too large is infinite
FP6, FP4            ``nan_becomes``: there is no NaN; what is too large is the largest
E8M0                ``e8m0``, how it rounds; ``of_zero``, ``of_negative``: it has neither
==================  =====================================================================

Left out: casts between small floats (``decode``, then ``cast``), random rounding.

References
----------
ONNX, Cast-24 (``saturate``, ``round_mode``); OCP 8-bit Floating Point Specification 1.0.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from refquant.contracts.axes import AxisValue
from refquant.numerics.minifloat import encode
from refquant_conformance.arithmetic.base import Arithmetic, Axes, Equal, Outputs
from refquant_conformance.arithmetic.cast_probes import FORMAT_OF, probes
from refquant_conformance.operators import OPERATORS
from refquant_conformance.oracle_casts import cast_exact
from refquant_conformance.protocol import Array, Case

__all__ = ["CASTS", "whole"]

_ROUNDING = ("half_even", "half_away", "half_up", "half_down", "toward_zero", "floor", "ceil")
_POLICIES = ("saturate", "ieee", "nan")
_BEYOND = 2.0**127  # what a float32 may take for infinite is beyond it
_SQRT_HALF = math.sqrt(0.5)  # the float64 above it: no float64 lies between
_CLAUSE = "ONNX Cast-24: round half to even; saturate, by default 1; round_mode of E8M0"


def whole(x: Array) -> Array:
    """Return integers as float64 that round to at most 50 bits as the integers do.

    What float64 does not hold is cut off and leaves the last bit set, so it lies on no tie.

    >>> [int(v) for v in whole(np.array([5, -(2**60) - 1]))] == [5, -(2**60) - 2**8]
    True
    """
    magnitude = np.where(x < 0, -x.astype(np.uint64), x.astype(np.uint64)).astype(np.uint64)
    high, low = magnitude >> np.uint64(11), magnitude & np.uint64(0x7FF)
    cut = high.astype(np.float64) * 2.0**11
    small = magnitude < np.uint64(2**53)
    odd = np.where(low != 0, high | np.uint64(1), high).astype(np.float64) * 2.0**11
    values = np.where(small, magnitude.astype(np.float64), np.where(low != 0, odd, cut))
    return np.asarray(np.where(x < 0, -values, values))


def _asked(case: Case, axes: Axes) -> Axes:
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


def _compute(case: Case, axes: Axes) -> Outputs | None:
    name, axes = case.types["y"], _asked(case, axes)
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


def _exact(case: Case, axes: Axes, output: str, index: int) -> int | float | None:
    x = case.inputs["x"].reshape(-1)[index].item()
    refused = axes.get("nan_becomes") == "error" and np.isnan(case.inputs["x"]).any()
    return None if refused else cast_exact(x, case.types["y"], _asked(case, axes))


def _element(case: Case, index: int) -> Case:
    return replace(case, inputs={"x": case.inputs["x"].reshape(-1)[index : index + 1]})


def _relevant_of(
    axes: Mapping[str, tuple[AxisValue, ...]],
) -> Callable[[Case], tuple[str, ...]]:
    def relevant(case: Case) -> tuple[str, ...]:
        x = case.inputs["x"]
        names = [a for a in axes if a != "via" or x.dtype.itemsize == 8]
        if x.dtype.kind != "f" or not (np.abs(x.astype(np.float64)) > _BEYOND).any():
            names = [a for a in names if not a.endswith("infinity")]
        if x.dtype.kind != "f" or not np.isnan(x).any():
            names = [a for a in names if not a.startswith("nan")]
        return tuple(names)

    return relevant


def _schemes(*targets: str) -> tuple[str, ...]:
    known = OPERATORS["cast"].schemes
    return tuple(scheme for scheme, types in known.items() if types["y"] in targets)


def _family(
    targets: tuple[str, ...],
    own: Mapping[str, tuple[AxisValue, ...]],
    spec: Mapping[str, AxisValue | None],
    *equal: Equal,
) -> Arithmetic:
    schemes = _schemes(*targets)
    rounds = {} if "e8m0" in own else {"rounding": _ROUNDING}
    axes = {**rounds, "via": ("direct", "via_f32"), **own}
    narrow = tuple(s for s in schemes if s.startswith(("f32", "f16")))
    same = Equal("via", ("direct", "via_f32"), "a float32 is a float32", narrow)
    first = {"rounding": "half_even"} if rounds else {}
    return Arithmetic(
        op="cast",
        schemes=schemes,
        axes=MappingProxyType(axes),
        spec=MappingProxyType({**first, "via": "direct", **spec}),
        clause=_CLAUSE,
        compute=_compute,
        exact=_exact,
        probes=probes,
        element=_element,
        relevant=_relevant_of(axes),
        equal=(same, *equal),
    )


_OCP = ("float8_e4m3fn", "float8_e5m2")
_FNUZ = ("float8_e4m3fnuz", "float8_e5m2fnuz")
_WIDE = ("bfloat16", "float16")
_TINY = ("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn")
_E8M0 = ("float8_e8m0fnu",)
_BECOMES = ("opposite_zero", "zero", "negative_zero", "max", "error")
_E4M3 = _schemes("float8_e4m3fn")

CASTS = (
    _family(
        _OCP,
        {
            **{"fp_overflow": _POLICIES, "infinity": _POLICIES},
            "nan_sign": ("kept", "dropped"),
        },
        {"fp_overflow": "saturate", "infinity": "saturate", "nan_sign": None},
        Equal("fp_overflow", ("ieee", "nan"), "it has no infinity", _E4M3),
        Equal("infinity", ("ieee", "nan"), "it has no infinity", _E4M3),
    ),
    _family(
        _FNUZ,
        {"fp_overflow": ("saturate", "nan"), "fnuz_infinity": ("nan", "saturate")},
        {"fp_overflow": "saturate", "fnuz_infinity": "nan"},
    ),
    _family(
        _WIDE,
        {"nan_sign": ("kept", "dropped")},
        {"nan_sign": None},
        Equal("nan_sign", ("kept", "dropped"), "integers have no NaN", ("i64_bf16",)),
    ),
    _family(_TINY, {"nan_becomes": _BECOMES}, {"nan_becomes": None}),
    _family(
        _E8M0,
        {
            "e8m0": ("ceil", "floor", "half_up_cast", "half_down", "nearest_log2"),
            "fp_overflow": ("saturate", "nan"),
            "infinity": ("saturate", "nan"),
            "of_zero": ("nan", "lowest"),
            "of_negative": ("nan", "lowest", "absolute"),
        },
        {
            **{"e8m0": "ceil", "fp_overflow": "saturate", "infinity": "saturate"},
            **{"of_zero": None, "of_negative": None},
        },
        Equal("fp_overflow", ("saturate", "nan"), "float16 ends at 2^16", ("f16_e8m0fnu",)),
    ),
)
"""The families of targets."""
