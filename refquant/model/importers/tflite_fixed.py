"""Functions of one int8 tensor that TFLite's kernels, or XNNPACK's, compute in fixed point.

With d = q - z, r = f32(s / s'), M(.) a product by ``gemmlowp_double`` with a float32 multiplier:

    RELU...     z' + M(d; r), clamped to the bounds                                              (1)
    ABS         z' + M(|d|; r), or z' + |d| where s = s'                                         (2)
    LEAKY_RELU  z' + M(d; r) for d >= 0, else z' + M(d; f32(f32(s alpha) / s')), odd in alpha    (3)
    LEAKY_RELU  z' + (m d + 128 >> 8), m = round_half_even(256 r), or 256 f32(r alpha): XNNPACK  (4)

HARD_SWISH is 16 bits all the way: D = 2^7 d, its product A with the multiplier of f32(s / 128) / s'
(15 bits, ties up), and a factor R in [0, 1] from D rescaled so that 3 is 2^15:

    z' + RDBPOT(trunc(R A / 2^15), -e),   R = (rescale(D) + 2^15) >> 1                           (5)

where rescale saturates as it shifts left, before its product and once more by one bit after it.

References: LiteRT ``kernels/activations.cc``, ``kernels/elementwise.cc``,
``reference/leaky_relu.h``, ``reference/hard_swish.h``; XNNPACK ``src/qs8-vlrelu/``,
``src/microparams-init.c``.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.qparams import QParams
from refquant.model.graph import Quant
from refquant.model.importers.tflite_model import UnsupportedError
from refquant.numerics.fixedpoint import quantize_multiplier, rounding_divide_by_pot
from refquant.numerics.requantize import requantize
from refquant.numerics.rounding import round_half_away

__all__ = ["BOUNDS", "absolute", "bounded", "hard_swish", "leaky_relu", "leaky_relu_delegated",
           "need_odd_products", "takes_leaky_relu"]  # fmt: skip

Int64 = NDArray[np.int64]

BOUNDS = {
    "RELU": (0.0, None),
    "RELU6": (0.0, 6.0),
    "RELU_N1_TO_1": (-1.0, 1.0),
}
"""The bounds of a clamp, as reals; None: the codes' own."""

_LOW, _HIGH = -(1 << 15), (1 << 15) - 1


def bounded(op: str, offset: Int64, x: QParams, y: QParams) -> Int64:
    """Return eq. (1), to be clamped to int8."""
    codes = _product(offset, _ratio(x, y)) + int(y.zero_point)
    for bound, limit in zip(BOUNDS[op], (np.maximum, np.minimum), strict=True):
        if bound is not None:
            steps = round_half_away(np.asarray(np.float32(bound) / np.float32(y.scale)))
            codes = limit(codes, int(np.clip(float(steps) + int(y.zero_point), -128, 127)))
    return np.asarray(codes, np.int64)


def absolute(offset: Int64, x: QParams, y: QParams) -> Int64:
    """Return eq. (2), to be clamped to int8."""
    if np.float32(x.scale) == np.float32(y.scale):
        return np.asarray(np.abs(offset) + int(y.zero_point), np.int64)
    return _product(np.abs(offset), _ratio(x, y)) + int(y.zero_point)


def leaky_relu(offset: Int64, alpha: np.float32, x: QParams, y: QParams) -> Int64:
    """Return eq. (3), to be clamped to int8."""
    with np.errstate(over="ignore", under="ignore"):
        slope = np.float32(np.float32(x.scale) * alpha) / np.float32(y.scale)
    below = _product(offset, np.float32(np.abs(slope))) * (-1 if slope < 0 else 1)
    above = _product(offset, _ratio(x, y))
    return np.where(offset >= 0, above, below) + int(y.zero_point)


def takes_leaky_relu(alpha: np.float32, x: QParams, y: QParams) -> bool:
    """Say whether XNNPACK takes a LEAKY_RELU of these scales: LiteRT computes the others.

    >>> one = QParams(np.float32(1), np.int32(0), None, "int8")
    >>> takes_leaky_relu(np.float32(0.1), one, one), takes_leaky_relu(np.float32(1e-3), one, one)
    (True, False)
    """
    ratio = _ratio(x, y)
    slope = np.float32(ratio * alpha)
    steep = -127.99609375 <= slope <= 2.0**7 and abs(slope) >= 2.0**-8
    return bool(2.0**-8 <= ratio <= 2.0**7 and steep)


def leaky_relu_delegated(offset: Int64, alpha: np.float32, x: QParams, y: QParams) -> Int64:
    """Return eq. (4), to be clamped to int8, of what XNNPACK takes."""
    ratio = _ratio(x, y)
    slope = np.float32(ratio * alpha)
    above, below = (int(np.rint(np.float32(256) * m)) for m in (ratio, slope))
    moved: Int64 = np.where(offset >= 0, above, below) * offset + 256 * int(y.zero_point) + 128
    return moved >> 8


def hard_swish(offset: Int64, x: QParams, y: QParams) -> Int64:
    """Return eq. (5), to be clamped to int8."""
    wide = np.float32(1 / 128) * np.float32(x.scale)
    with np.errstate(over="ignore", under="ignore"):
        out, out_exponent = _narrow(wide / np.float32(y.scale))
        factor, exponent = _narrow(wide / np.float32(3.0 / 32768.0))
    if out_exponent > 0:
        raise UnsupportedError("has an output scale below 1/128 of its input's, which LiteRT lacks")
    high = offset * 128
    value = high
    if exponent > 0:
        value = np.clip(value << (exponent - 1), _LOW, _HIGH)
    value = _doubled(value, factor)
    if exponent > 0:
        value = np.clip(value << 1, _LOW, _HIGH)
    elif exponent < 0:
        value = rounding_divide_by_pot(value, -exponent).astype(np.int64)
    share = (value + (1 << 15)) >> 1
    product = share * _doubled(high, out)
    shifted = np.where(product < 0, -(-product >> 15), product >> 15)  # toward zero
    return rounding_divide_by_pot(shifted, -out_exponent).astype(np.int64) + int(y.zero_point)


def need_odd_products(a: Quant, b: Quant, *, bits: int = 8) -> None:
    """Refuse a SUB whose products of b are not odd: it is then not the ADD of -b.

    The reference kernel subtracts M(d 2^20), of 16 ``bits`` M(d 2^15); its first rounding sends
    ties up, so M(-v) is -M(v) unless there is one. Of random scales one pair in fifty has a code
    that is; of 16 bits nearly all that subtract the smaller steps, since the code -2^15 is one.

    >>> need_odd_products(Quant(0.3, 0), Quant(0.2, 0))
    """
    sa, sb = (float(np.float32(q.scale)) for q in (a, b))
    most, shift = (255, 20) if bits == 8 else (1 << 15, 15)
    steps = np.arange(most + 1, dtype=np.int64) << shift
    multiplier = sb / (2 * max(sa, sb))
    up, down = (requantize(v, multiplier, mode="gemmlowp_double") for v in (steps, -steps))
    if (up != -down).any():
        raise UnsupportedError(
            f"subtracts in steps of {sb} from steps of {sa}, whose products have ties"
            + ("; import it for xnnpack" if bits == 8 else "")
        )


def _ratio(x: QParams, y: QParams) -> np.float32:
    with np.errstate(over="ignore", under="ignore"):
        return np.float32(np.float32(x.scale) / np.float32(y.scale))


def _product(codes: Int64, multiplier: Any) -> Int64:
    return requantize(codes, np.float64(multiplier), mode="gemmlowp_double")


def _narrow(real: np.float32) -> tuple[int, int]:
    """Return a multiplier of 15 bits and its exponent: that of 31 bits, halves away."""
    wide, exponent = quantize_multiplier(np.float64(real))
    if int(wide) >= (1 << 31) - (1 << 15):
        return _HIGH, int(exponent)
    return (int(wide) + (1 << 15)) >> 16, int(exponent)


def _doubled(a: Int64, b: int) -> Int64:
    """Return the rounded high half of 2 a b, of 16 bits: ties up."""
    product = a * b
    nudge = np.where(product >= 0, 1 << 14, 1 - (1 << 14))
    total = product + nudge
    return np.where(total < 0, -(-total >> 15), total >> 15)  # toward zero
