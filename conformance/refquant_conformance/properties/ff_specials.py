"""FF-05 to 07, 10 and 13: what no code stands for.

References
----------
ONNX, Cast-24 (tables of ``saturate`` and ``round_mode``); OCP Microscaling Formats 1.0.
"""

import numpy as np

from refquant_conformance.arithmetic.cast_probes import cast_case, magnitudes, midpoints, near
from refquant_conformance.operators import types_of
from refquant_conformance.oracle_casts import FORMS
from refquant_conformance.properties.registry import prop
from refquant_conformance.trial import Trial

__all__: list[str] = []

_CAST = ("cast",)
_SATURATE = "ONNX Cast-24, attribute saturate: the table of what lies beyond the range"
_FNUZ = "ONNX, Float stored in 8 bits: FNUZ types have no negative zero; its code is NaN"
_E8M0 = "ONNX Cast-24, attribute round_mode; OCP MX 1.0, section 5.4.1"
_TINY = ("float6_e2m3fn", "float6_e3m2fn", "float4_e2m1fn")


def _types(trial: Trial) -> tuple[np.dtype[np.generic], str]:
    types = types_of(trial.op, trial.scheme)
    if types["x"] == "int64":
        trial.skip("speaks of floats")
    return np.dtype(types["x"]), types["y"]


@prop("FF-05", "overflow_threshold", ops=_CAST, clause=_SATURATE, catches="2.7 (e4m3fn)")
def threshold(trial: Trial) -> None:
    """The last value, the tie above it, and what is beyond become what the contract says."""
    source, name = _types(trial)
    with np.errstate(over="ignore"):
        edge = np.array([magnitudes(name)[-1], midpoints(name)[-1]]).astype(source)
        far = (edge[:1].astype(np.float64) * np.array([2.0, 3.0, 2.0**30])).astype(source)
    x = np.concatenate([near(edge[np.isfinite(edge)], 2), far[np.isfinite(far)]])
    x = x[np.isfinite(x)]
    trial.expect(cast_case(trial.scheme, np.concatenate([x, -x]) if FORMS[name].signed else x))


@prop("FF-06", "inf_nan", ops=_CAST, clause=_SATURATE, catches="2.7 (torch 2.12)")
def specials(trial: Trial) -> None:
    """Infinities and NaN, of either sign and any payload, become what the contract says."""
    source, name = _types(trial)
    if name in _TINY:
        trial.skip("FF-13 speaks of FP6 and FP4")
    bits = np.dtype(f"u{source.itemsize}")
    plain = np.array([np.inf, -np.inf, np.nan, -np.nan], source)
    quiet = plain[2:3].view(bits)
    odd = np.concatenate([quiet + bits.type(1), quiet | bits.type(1 << 5)]).view(source)
    trial.expect(cast_case(trial.scheme, plain), cast_case(trial.scheme, np.append(odd, -odd)))


@prop("FF-07", "tiny_negative", ops=_CAST, clause=_FNUZ, catches="2.7")
def tiny(trial: Trial) -> None:
    """A tiny negative number becomes -0, or 0 where there is none: never the code of NaN."""
    source, name = _types(trial)
    if not FORMS[name].signed:
        trial.skip("FF-10 speaks of E8M0")
    least = magnitudes(name)[1] / 8
    bits = {2: 2.0**-24, 4: 2.0**-149, 8: 5e-324}  # the least number, by bytes
    x = np.array([0.0, least, least / 64, bits[source.itemsize]], source)
    trial.expect(cast_case(trial.scheme, np.concatenate([x, -x])))


@prop("FF-10", "e8m0_policy", ops=_CAST, clause=_E8M0, catches="2.7")
def scales(trial: Trial) -> None:
    """Powers of two, what lies near and between, zero, subnormal and negative numbers."""
    source, name = _types(trial)
    if name != "float8_e8m0fnu":
        trial.skip("speaks of E8M0")
    exponents = np.arange(-14 if source == np.float16 else -126, 15)
    powers = np.exp2(exponents.astype(np.float64))
    x = near(np.concatenate([powers, 1.5 * powers]).astype(source), 2)
    other = np.concatenate([powers * f for f in (np.sqrt(2), 1.25, 1.75, 6.0, 448 / 256)])
    small = np.array([0.0, 2.0**-127, 1.25 * 2.0**-127, 2.0**-140], np.float64)
    below = -np.array([1.0, 3.0, 2.0**-14])
    with np.errstate(over="ignore", under="ignore"):
        parts = [x, other.astype(source), small.astype(source), below.astype(source)]
    trial.expect(cast_case(trial.scheme, np.concatenate(parts)))


@prop("FF-13", "fp4_fp6_specials", ops=_CAST, clause="OCP MX 1.0, section 5.3: no NaN, no infinity",
      catches="2.7 (ml_dtypes)")  # fmt: skip
def without_nan(trial: Trial) -> None:
    """NaN, infinities and -0 become codes of numbers, those that the contract says."""
    source, name = _types(trial)
    if name not in _TINY:
        trial.skip("speaks of FP6 and FP4")
    x = np.array([np.inf, -np.inf, -0.0, 0.0], source)
    nan = np.array([np.nan, -np.nan], source)
    trial.expect(cast_case(trial.scheme, x), cast_case(trial.scheme, nan))
