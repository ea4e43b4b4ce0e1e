"""Numbers that tell casts apart: every value, every midpoint, their neighbours, and the specials.

Of targets with more than 256 codes one value in many is asked, and those around the ends.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType

import numpy as np

from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS, FloatFormat
from refquant_conformance.operators import types_of
from refquant_conformance.protocol import Array, Case
from refquant_conformance.types import SMALL_FLOATS

__all__ = ["FORMAT_OF", "cast_case", "magnitudes", "midpoints", "near", "probes"]

_NAMES = {"bfloat16": "bf16", "float16": "fp16", "float8_e8m0fnu": "e8m0"}
FORMAT_OF: Mapping[str, FloatFormat] = MappingProxyType(
    {
        name: FLOAT_FORMATS[
            _NAMES.get(name) or name.split("_")[1].removesuffix("" if "8" in name else "fn")
        ]
        for name in (*SMALL_FLOATS, "float16")
    }
)
"""The reference's format of each target."""


def cast_case(scheme: str, x: Array) -> Case:
    """Return the case of a cast of ``x``.

    >>> cast_case("f32_e5m2", np.float32([1])).types["y"]
    'float8_e5m2'
    """
    return Case("cast", scheme, {"x": x}, {"saturate": None}, types=types_of("cast", scheme))


def magnitudes(name: str) -> Array:
    """Return the finite values that are not negative, float64, in order."""
    form = FORMAT_OF[name]
    codes = np.arange(form.max_code + 1)
    return np.asarray(decode(codes, form), np.float64)


def midpoints(name: str) -> Array:
    """Return what lies in the middle between neighbours, and beyond the last value, float64."""
    steps = magnitudes(name)
    last = 2 * steps[-1] - steps[-2] if FORMAT_OF[name].mantissa_bits else 2 * steps[-1]
    return np.asarray((steps + np.append(steps[1:], last)) / 2)


def near(x: Array, ulps: int) -> Array:
    """Return ``x`` and its neighbours to ``ulps`` on either side, in the type of ``x``."""
    found = [x]
    for toward in (-np.inf, np.inf):
        moved = x
        for _ in range(ulps):
            moved = np.nextafter(moved, x.dtype.type(toward))
            found.append(moved)
    return np.concatenate(found)


def _integers(mids: Array, steps: Array) -> Array:
    """Return integers at and around those midpoints and values that int64 holds."""
    real = np.concatenate([mids, steps])
    held = real[(real == np.rint(real)) & (real < 2.0**62)].astype(np.int64)
    around = [held + d for d in (-1, 0, 1)]
    powers = 2 ** np.arange(62, dtype=np.int64)
    long = [powers + (powers >> k) + d for k in (2, 3, 4, 8, 9, 11) for d in (-1, 0, 1)]
    x = np.unique(np.concatenate([*around, *long, np.arange(-300, 300)]))
    return np.concatenate([x, -x, [np.iinfo(np.int64).max, np.iinfo(np.int64).min]])


def probes(scheme: str) -> Sequence[Case]:
    """Return the cases of a scheme; NaN in a case of its own, because it may be refused."""
    types = types_of("cast", scheme)
    mids, steps = midpoints(types["y"]), magnitudes(types["y"])
    if mids.size > 2**10:
        some = np.r_[0:20, 20 : mids.size - 20 : mids.size // 300, mids.size - 20 : mids.size]
        mids, steps = mids[some], steps[some]
    if types["x"] == "int64":
        return [cast_case(scheme, _integers(mids, steps))]
    dtype = np.dtype(types["x"])
    with np.errstate(all="ignore"):
        x = near(np.concatenate([mids, steps]).astype(dtype), 2)
        if types["x"] == "float64":  # what a float32 rounds to a tie
            x = np.concatenate([x, mids * (1 + 2.0**-40), mids * (1 - 2.0**-40)])
        far = steps[-1] * 2.0 ** np.array([1.0, 2.0, 40.0])
        tiny = np.array([np.finfo(dtype).smallest_subnormal, np.finfo(dtype).tiny])
        # sqrt(2) and 3/2 times powers of two: where rules for exponents differ
        some = steps[:: max(1, steps.size // 40)]
        between = [(some * factor).astype(dtype) for factor in (np.sqrt(2), 1.45, 1.75)]
        x = np.concatenate([x, far.astype(dtype), tiny, *between, np.zeros(1, dtype)])
        x = np.concatenate([x, -x]).astype(dtype)
        nan = np.array([np.nan, -np.nan, 1.0], dtype)
    finite = x[np.isfinite(x)]
    endless = np.array([np.inf, -np.inf], dtype)
    return [cast_case(scheme, each) for each in (finite, endless, nan)]
