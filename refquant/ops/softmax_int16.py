r"""Softmax of int16 codes in fixed point: a table of exponentials, and one of reciprocals.

A code below the largest one, M, by d stands for the factor exp(-d sx). There are 65536 of them, a
table t of int16 that the file carries (15 bits; 32767 is almost 1). With S = sum t[M - q_i],
c the leading zeros of S as 32 bits, and L 1/(1 + x) at 513 points, interpolated,

.. math::

    v &= \operatorname{clamp}(((2^{c-1} S + 2^{13}) \gg 14) - 98304, -32768, 32767) \tag{1} \\
    R &= \ell(v) = L_i + (((L_{i+1} - L_i)\, f + 64) \gg 7),
        \quad i = 256 + (v \gg 7),\ f = v \bmod 128 \tag{2} \\
    q_i &= \operatorname{clamp}((t[M - q_i]\, R + 2^{30-c}) \gg (31 - c), 0, 32767) \tag{3}

The points of L share the error of their chords: with :math:`g_j = 2^{15}/(1 + j/1024)` and r half
away from zero,

.. math::

    L_i = \min(r(g_{2i}) - r((r((g_{2i+2} + r(g_{2i}))/2) - r(g_{2i+1}))/2), 32767),
        \quad L_{512} = 2^{14}. \tag{4}

sy is :math:`2^{-15}` and zy 0.  Left out: any other scale of the output.

References: LiteRT ``reference/softmax.h`` (SoftmaxInt16), ``internal/common.h`` (LUTPopulateInt16,
LUTLookup), ``kernels/activations.cc``.
"""

import math
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.affine import QParams
from refquant.numerics.requantize import requantize
from refquant.ops.rescale import scalar_parameters

__all__ = ["interpolated", "reciprocal_points", "shares_int16", "softmax_table_int16"]

Int64 = NDArray[np.int64]
_POINTS = 512


def shares_int16(e: NDArray[Any], axis: int) -> Int64:
    """Return eq. (3) for the exponentials ``e``, int16, the first of which is at least 2^14.

    >>> shares_int16(np.full((1, 2), 32767, np.int16), -1).tolist()
    [[16384, 16384]]
    """
    wide = e.astype(np.int64)
    total = wide.sum(axis=axis, keepdims=True)
    zeros = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    place = (((total << (zeros - 1)) + (1 << 13)) >> 14) - 98304
    r = interpolated(np.clip(place, -32768, 32767), reciprocal_points())
    right = 31 - zeros
    return np.asarray(np.clip((wide * r + (np.int64(1) << (right - 1))) >> right, 0, 32767))


def interpolated(v: Int64, points: Int64) -> Int64:
    """Return eq. (2) of int16 ``v`` for 513 ``points``.

    >>> interpolated(np.array([-32768, -32704, 32767]), np.arange(513) * 128).tolist()
    [0, 64, 65535]
    """
    index, rest = 256 + (v >> 7), v & 127
    base = points[index]
    return np.asarray(base + (((points[index + 1] - base) * rest + 64) >> 7), np.int64)


def reciprocal_points() -> Int64:
    """Return L, eq. (4), exactly.

    >>> reciprocal_points()[[0, 1, 256, 511, 512]].tolist()
    [32767, 32704, 21845, 16400, 16384]
    """
    g = [Fraction(1 << 25, 1024 + j) for j in range(2 * _POINTS + 1)]
    points = [_point(g[2 * i], g[2 * i + 1], g[2 * i + 2]) for i in range(_POINTS)]
    return np.array([*points, _half_away(g[-1])], np.int64)


def softmax_table_int16(x_qparams: QParams, *, beta: float) -> NDArray[np.int16]:
    """Return t: 65536 entries, exp of -10 to 0 at 513 points, the distance in steps of 10/65535.

    Points and their shares of the chord's error as eq. (4), in float64; beyond -10 as at -10.

    >>> one = QParams(np.float32(2**-12), np.int32(0), None, "int16")
    >>> softmax_table_int16(one, beta=1.0)[[0, 4096, 65535]].tolist()
    [32762, 12054, 2]
    """
    scale, _ = scalar_parameters("Softmax", "x", x_qparams)
    real = float(np.float32(scale) * np.float32(beta)) / (10.0 / 65535.0)
    steps = requantize(-np.arange(1 << 16), np.float64(real), mode="gemmlowp_double")
    place = np.clip(steps + 32767, -32768, 32767)
    step = 10.0 / _POINTS
    g = [math.exp(-10.0 + i * step / 2) * 32768.0 for i in range(2 * _POINTS + 1)]
    points = [_point(g[2 * i], g[2 * i + 1], g[2 * i + 2]) for i in range(_POINTS)]
    return interpolated(place, np.array([*points, 32767])).astype(np.int16)


def _point(at: Any, middle: Any, behind: Any) -> int:
    """Return one of eq. (4), in whatever numbers it is given."""
    mark = _half_away(at)
    chord = _half_away((behind + mark) / 2)
    return min(mark - _half_away(Fraction(chord - _half_away(middle), 2)), 32767)


def _half_away(value: Any) -> int:
    whole = math.floor(abs(value) + Fraction(1, 2))
    return int(whole if value >= 0 else -whole)
