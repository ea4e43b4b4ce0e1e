r"""LOG, SQRT and RSQRT of int8, as TFLite's kernels compute them for each of the 256 codes.

With d = q - z and x = f32(s d):

    LOG     z' + round_half_away(f32(log x) f32(1/s')), of x <= 0 the least real of the output   (1)
    SQRT    z' + trunc(f32(f32(sqrt x) / s'))                                                    (2)
    RSQRT   z' + M(M(1; R 2^20); f32-made 1/(s' sqrt s) 2^-20), 127 for d = 0                    (3)

R is 1 / sqrt(d) in 31 bits, by Newton's method: `refquant.ops.l2_normalization.inverse_root`.

LiteRT ends with an error where a code of SQRT or RSQRT is negative as a real. A table has to say
something: here that is the code of 0, and 127.

References: LiteRT ``kernels/elementwise.cc``, ``internal/common.h``
(GetInvSqrtQuantizedMultiplierExp).
"""

import math

import numpy as np
from numpy.typing import NDArray

from refquant.formats.qparams import QParams
from refquant.model.importers.tflite_model import UnsupportedError
from refquant.numerics.fixedpoint import (
    quantize_multiplier,
    rounding_divide_by_pot,
    srdhm,
)
from refquant.numerics.rounding import round_half_away
from refquant.ops.l2_normalization import inverse_root

__all__ = ["inverse_square_root", "logarithm", "square_root"]

Int64 = NDArray[np.int64]
F32 = NDArray[np.float32]
_LOW, _HIGH = -(1 << 31), (1 << 31) - 1
_SHIFT = 20


def logarithm(offset: Int64, x: QParams, y: QParams) -> F32:
    """Return eq. (1), to be clamped to int8."""
    with np.errstate(over="ignore", under="ignore"):
        real = offset.astype(np.float32) * np.float32(x.scale)
        least = np.float32(np.float32(-128 - int(y.zero_point)) * np.float32(y.scale))
        made = np.array([math.log(v) if v > 0 else least for v in real.tolist()], np.float32)
        steps = made * (np.float32(1) / np.float32(y.scale))
    return np.asarray(round_half_away(steps) + np.float32(y.zero_point), np.float32)


def square_root(offset: Int64, x: QParams, y: QParams) -> Int64:
    """Return eq. (2), to be clamped to int8."""
    with np.errstate(over="ignore", under="ignore"):
        real = np.maximum(offset, 0).astype(np.float32) * np.float32(x.scale)
        steps = np.trunc(np.sqrt(real) / np.float32(y.scale))
    if not float(steps.max()) <= _HIGH:
        raise UnsupportedError(f"has the output scale {float(y.scale)}: LiteRT overflows")
    return np.asarray(steps.astype(np.int64) + int(y.zero_point), np.int64)


def inverse_square_root(offset: Int64, x: QParams, y: QParams) -> Int64:
    """Return eq. (3), to be clamped to int8."""
    root = np.sqrt(np.float32(x.scale))
    with np.errstate(over="ignore", under="ignore", divide="ignore"):
        real = np.float64(1.0) / np.float64(np.float32(root * np.float32(y.scale)))
    if not np.isfinite(real):
        raise UnsupportedError(f"has scales {float(x.scale)}, {float(y.scale)} without an inverse")
    factor, exponent = quantize_multiplier(real)
    made = []
    for d in offset.tolist():
        if d <= 0:
            made.append(127)
            continue
        inverse, right = inverse_root(d)
        first = _by(1, inverse, _SHIFT - right)
        made.append(_by(first, int(factor), int(exponent) - _SHIFT) + int(y.zero_point))
    return np.array(made, np.int64)


def _by(value: int, factor: int, exponent: int) -> int:
    """Return MultiplyByQuantizedMultiplier: two roundings; what is shifted left saturates not."""
    shifted = value << max(exponent, 0)
    if not _LOW <= shifted <= _HIGH:
        raise UnsupportedError("has scales with which LiteRT's sums leave int32")
    return int(rounding_divide_by_pot(_high(shifted, factor), max(-exponent, 0)))


def _high(a: int, b: int) -> int:
    return int(srdhm(a, b))
