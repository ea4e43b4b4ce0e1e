r"""Inputs that find rounding bugs: mixtures that lean on ties and edges.

A float drawn at random is a tie of a given scale with probability near 0, so that a backend which
rounds ties wrongly passes thousands of random examples. Every strategy here is therefore a mixture.
For the float inputs of a quantizer with scale s, zero point z and codes qmin to qmax:

====  ==================================================================
 35%  a tie (k + 1/2) s, moved by -1, 0 or +1 units in the last place
 15%  an edge: (qmin - z - 1/2) s and (qmax - z + 1/2) s, moved; 2^31 s,
      the largest float, infinities
 10%  special: NaN, zeros of both signs, subnormals, (2^23 - 1/2) s
 20%  exactly a code: k s
 20%  any float in and around the range
====  ==================================================================

All floats are float32, held in Python floats. Left out: operands of layers that only kernels see
(tiles, alignment), which come with the properties of layers.

``tests/conformance/test_strategies.py`` plants the classic bugs (half away, reciprocal, zero point
before rounding, wrap, tail, add one half) and requires that this mixture finds each of them.
"""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from numpy.typing import NDArray

__all__ = [
    "LENGTHS",
    "accumulators",
    "codes",
    "floats_near_ties",
    "lengths",
    "multipliers",
    "quantizer_inputs",
    "scales",
]

LENGTHS = (
    *(0, 1, 2, 3, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64, 65),
    *(127, 128, 129, 255, 256, 257, 1023),
)
"""Lengths around every power of two that a vector loop may unroll by."""

_AWKWARD_SCALES = (1 / 3, 0.1, 1 / 255, 1 / 127, 1 / 127.5, 0.0375, 0.003, 2.0**-14 / 3)
_LARGEST = float(np.finfo(np.float32).max)


def scales(*, low: float = 2.0**-126, high: float = 2.0**120) -> st.SearchStrategy[float]:
    """Positive normal float32 scales: powers of two, awkward decimals, any mantissa, the extremes.

    ``low`` and ``high`` bound them; both are normal floats.
    """
    if not 2.0**-126 <= low < high <= _LARGEST:
        raise ValueError(f"scales need 2**-126 <= low < high < 2**128; got {low}, {high}")
    emin, emax = math.ceil(math.log2(low)), math.floor(math.log2(high))
    powers = st.integers(emin, emax).map(lambda e: 2.0**e)
    near_one = st.floats(max(low, 2.0**-10), min(high, 2.0**4), width=32)
    awkward = [s for s in map(_f32, _AWKWARD_SCALES) if low <= s <= high]
    parts = [powers, near_one, st.floats(_f32(low), _f32(high), width=32)]
    return st.one_of(*parts, st.sampled_from([*awkward, _f32(low), _f32(high)]))


@st.composite
def floats_near_ties(
    draw: st.DrawFn,
    *,
    scale: float,
    zero_point: int = 0,
    qmin: int = -128,
    qmax: int = 127,
    allow_nan: bool = True,
) -> float:
    """One float32 of the mixture on top of this file, for one quantizer; ``scale`` > 0."""
    kind = draw(st.integers(0, 19))
    code = draw(st.integers(qmin - zero_point - 2, qmax - zero_point + 2))
    if kind < 7:
        return _moved(scale * (code + 0.5), draw(st.integers(-1, 1)))
    if kind < 10:
        edges = (qmin - zero_point - 0.5, qmax - zero_point + 0.5, -(2.0**31), 2.0**31)
        far = (-_LARGEST, _LARGEST, -math.inf, math.inf)
        edge = draw(st.sampled_from([scale * k for k in edges]))
        return draw(st.sampled_from([*far, *[_moved(edge, ulps) for ulps in (-1, 0, 0, 1)]]))
    if kind < 12:
        special = [0.0, -0.0, 2.0**-149, -(2.0**-149), 2.0**-126, _f32(scale * (2.0**23 - 0.5))]
        return draw(st.sampled_from([*special, math.nan] if allow_nan else special))
    if kind < 16:
        return _f32(scale * code)
    reach = min(scale * 2.0 * (qmax - qmin), _LARGEST)
    return draw(st.floats(-_f32(reach), _f32(reach), width=32))


def lengths(*, longest: int = 1023) -> st.SearchStrategy[int]:
    """Lengths of ``LENGTHS`` up to ``longest``."""
    return st.sampled_from([n for n in LENGTHS if n <= longest])


@st.composite
def quantizer_inputs(
    draw: st.DrawFn,
    *,
    scale: float,
    zero_point: int = 0,
    qmin: int = -128,
    qmax: int = 127,
    longest: int = 65,
    allow_nan: bool = True,
) -> NDArray[np.float32]:
    """A float32 vector of the mixture, of one of ``LENGTHS``; or one value at every position.

    The second form finds backends whose vector loop and scalar tail disagree.
    """
    elements = floats_near_ties(
        scale=scale, zero_point=zero_point, qmin=qmin, qmax=qmax, allow_nan=allow_nan
    )
    n = draw(lengths(longest=longest))
    if draw(st.booleans()):
        return np.full(n, draw(elements), np.float32)
    # A few distinct values, repeated: a vector of 65 draws would be slow and shrink badly.
    few = draw(st.lists(elements, min_size=1, max_size=8))
    return np.resize(np.array(few, np.float32), n)


def codes(
    shape: int | tuple[int, ...], *, qmin: int, qmax: int, dtype: str
) -> st.SearchStrategy[NDArray[np.generic]]:
    """Integer operands of ``shape``: all one extreme, extremes mixed, or any.

    Nothing here restricts the range: pair sums that saturate need both extremes.
    """
    extremes = st.sampled_from([qmin, qmax])
    corner = st.tuples(extremes).map(lambda c: np.full(shape, c[0], dtype))
    mixed = hnp.arrays(np.dtype(dtype), shape, elements=extremes)
    any_code = hnp.arrays(np.dtype(dtype), shape, elements=st.integers(qmin, qmax))
    return st.one_of(corner, mixed, any_code)


def multipliers(*, low: float = 2.0**-31, high: float = 1.0) -> st.SearchStrategy[float]:
    """Requantization multipliers (float64): powers of two, their neighbours, awkward ones, any.

    Neighbours of powers of two round up to the next exponent in fixed point; powers of two have
    the most ties.
    """
    exponents = st.integers(math.ceil(math.log2(low)), math.floor(math.log2(high)))
    below = exponents.map(lambda e: max(math.nextafter(2.0**e, 0.0), low))
    awkward = st.sampled_from([m for m in _AWKWARD_SCALES if low <= m <= high] or [low])
    return st.one_of(exponents.map(lambda e: 2.0**e), below, awkward, st.floats(low, high))


@st.composite
def accumulators(draw: st.DrawFn, *, multiplier: float) -> int:
    """An int32: near a tie of ``multiplier``, near 2^24 and 2^31 (both signs), small, or any."""
    kind = draw(st.integers(0, 9))
    if kind < 4:
        code = draw(st.integers(-300, 300))
        value = math.floor((code + 0.5) / multiplier) + draw(st.integers(-1, 2))
    elif kind < 6:
        limit = draw(st.sampled_from([2**24, 2**31 - 1, -(2**24), -(2**31)]))
        value = limit + draw(st.integers(-3, 3))
    elif kind < 8:
        value = draw(st.integers(-65536, 65535))
    else:
        value = draw(st.integers(-(2**31), 2**31 - 1))
    return min(max(value, -(2**31)), 2**31 - 1)


def _f32(value: float) -> float:
    """Return the nearest float32, held within the finite range."""
    return float(np.float32(min(max(value, -_LARGEST), _LARGEST)))


def _moved(value: float, ulps: int) -> float:
    """Return the float32 nearest to ``value``, moved by -1, 0 or 1 units in the last place."""
    x = np.float32(_f32(value))
    if ulps == 0:
        return float(x)
    with np.errstate(over="ignore", under="ignore"):  # beyond the largest lies infinity
        return float(np.nextafter(x, np.float32(math.copysign(np.inf, ulps))))
