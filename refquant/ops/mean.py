"""ReduceMean on codes: the mean of all codes along some axes, by the contract's axis ``mean``.

With n codes a mean, S the exact sum of q - zx, and R the exact sum of q itself:

    folded_multiplier  (M, s) = quantize_multiplier(sx / sy)          in float64
                       L  = min(floor(log2 n), 32, 31 + s)
                       M' = floor(M * 2**L / n),  s' = s - L
                       q  = clamp(RDBPOT(SRDHM(S * 2**max(s', 0), M'), max(-s', 0)) + zy)      (1)

    float_zero_point   m  = f32(f32(sx / sy) * f32(1 / n))
                       z' = f32(zy - f32(f32(f32(n) * zx) * m))
                       q  = clamp(round_half_even(f32(f32(f32(R) * m) + z')))                  (2)

In (1) the 1/n goes into the multiplier, which keeps 31 bits of it; in (2) the zero point of the
input goes into a float32 that is no integer, and a tie in the reals need not be one there.

Left out: sums (ReduceSum of codes), means of no codes.

Source: ``docs/spec/operators.md`` §4; TFLite ``reference/reduce.h`` for (1), XNNPACK
``src/operators/reduce-nd.c`` for (2).
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.numerics.fixedpoint import quantize_multiplier, rounding_divide_by_pot, srdhm
from refquant.ops.reduce import different_axes
from refquant.ops.rescale import clamp_codes, scalar_parameters

__all__ = ["folded_multiplier", "reduce_mean_quantized"]

Codes = NDArray[Any]
Int64 = NDArray[np.int64]


def reduce_mean_quantized(
    q: Codes,
    *,
    axes: Sequence[int],
    keepdims: int = 1,
    x_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
) -> Codes:
    """Return the codes of the mean along ``axes``: eq. (1) or (2).

    The axes stay with length 1 if ``keepdims``. Sums must fit int32, as a loader has proved.

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> q = np.array([[2, 3], [-2, -3]], np.int8)
    >>> [reduce_mean_quantized(q, axes=[1], keepdims=0, x_qparams=one, y_qparams=one,
    ...      contract=preset(name)).tolist() for name in ("tflite_reference", "xnnpack")]
    [[3, -2], [2, -2]]
    """
    places = different_axes("ReduceMean", q, axes)
    if not places:
        raise ValueError(f"ReduceMean: axes must be different axes of x {q.shape}, at least one")
    n = math.prod(q.shape[axis] for axis in places)
    if n < 1:
        raise ValueError(f"ReduceMean: the mean of no codes has none; got x {q.shape}")
    sx, zx = scalar_parameters("ReduceMean", "x", x_qparams)
    sy, zy = scalar_parameters("ReduceMean", "y", y_qparams)
    total = q.astype(np.int64).sum(axis=tuple(places), keepdims=bool(keepdims))
    if contract.mean == "folded_multiplier":
        codes = _rescaled(total - n * zx, *folded_multiplier(sx, sy, n)) + zy
    elif contract.mean == "float_zero_point":
        codes = _float_zero_point(np.asarray(total), n, sx, zx, sy, zy)
    else:
        raise ValueError(
            f"ReduceMean: contract {contract.name!r} leaves a quantized ReduceMean "
            f"{contract.mean}; dequantize before it"
        )
    return clamp_codes("ReduceMean", codes, y_qparams.dtype, None, None)


def folded_multiplier(sx: np.float32, sy: np.float32, n: int) -> tuple[int, int]:
    """Return (M', s') of eq. (1).

    >>> folded_multiplier(np.float32(1), np.float32(1), 3)  # 2/3 * 2**30, and 2 places
    (715827882, 0)
    """
    m, shift = (int(v) for v in quantize_multiplier(np.float64(sx) / np.float64(sy)))
    left = min(n.bit_length() - 1, 32, 31 + shift)
    return (m << left) // n, shift - left


def _rescaled(total: Int64, m: int, shift: int) -> Int64:
    high = srdhm(total << max(shift, 0), m)
    return np.asarray(rounding_divide_by_pot(high, max(-shift, 0)), np.int64)


def _float_zero_point(
    total: Int64, n: int, sx: np.float32, zx: int, sy: np.float32, zy: int
) -> Int64:
    """Eq. (2), in float32 throughout."""
    with np.errstate(over="ignore", under="ignore"):
        m = np.float32(sx / sy) * np.float32(np.float32(1) / np.float32(n))
        shifted = np.float32(zy) - np.float32(np.float32(n) * np.float32(zx)) * m
        real = np.rint(total.astype(np.float32) * m + shifted)
    return np.asarray(np.clip(real.astype(np.float64), -(2.0**31), 2.0**31 - 1), np.int64)
