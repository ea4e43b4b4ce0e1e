r"""Sigmoid and tanh of int16 codes as TFLite interpolates them, for the tables of files.

Both read one table of 256 marks of the sigmoid, 1/24 apart, 16 bits each, which take on half of the
error that a chord between two of them has:

.. math::

    \sigma_i = r\bigl(s(i) + (s(i + 1/2) - (s(i) + s(i + 1)) / 2) / 2\bigr), \quad
        s(i) = 2^{16} / (1 + e^{-i/24}), \quad \sigma_{255} = 2^{16} - 1 \tag{1}

The code x, scale sx, is first brought to :math:`1/(3 \cdot 2^{12})`: where sx is :math:`2^{-12}`
(of tanh :math:`2^{-11}`, too) or as near as 0.07 % by the factor 3 (6), else by 15 bits of a
multiplier, cut off, ties up:

.. math::

    v = (x\,m + [k > 0]\,2^{k-1}) \gg k, \qquad m = \lfloor 2^k \cdot 12288\, s_x \rfloor,
        \ k \text{ the least with } 2^k\, 12288\, s_x > 16383.5 \tag{2}

With :math:`a = |v|` and :math:`u = a \gg 9` (of tanh :math:`a \gg 8`), 255 for all above,

.. math::

    p &= 2^9 \sigma_u + (a \bmod 2^9)(\sigma_{u+1} - \sigma_u), \quad
        q = (\pm p + [v < 0] (2^{25} - 1) + 2^9) \gg 10 \tag{sigmoid, 3} \\
    p &= 2^8 \sigma_u + (a \bmod 2^8)(\sigma_{u+1} - \sigma_u) - 2^{23}, \quad
        q = (\pm p + 2^7 - [v < 0]) \gg 8 \tag{tanh, 4}

with :math:`p = 32767 \cdot 2^{10}` and :math:`65535 \cdot 2^8 - 2^{23}` for u of 255 or more. The
scale of q is :math:`2^{-15}`.

References: LiteRT ``reference/integer_ops/logistic.h``, ``tanh.h``, ``kernels/activations.cc``
(SigmoidPrepare, TanhPrepare); eq. (1) gives all 256 numbers of ``internal/common.h``.
"""

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["curve_int16", "nearest_power", "sigmoid_marks"]

Int64 = NDArray[np.int64]
_LAST = 255


def sigmoid_marks() -> Int64:
    """Return the marks of eq. (1).

    >>> sigmoid_marks()[[0, 4, 24, 254, 255]].tolist()
    [32768, 35493, 47911, 65534, 65535]
    """
    s = [65536 / (1 + math.exp(-i / 48)) for i in range(2 * _LAST + 3)]
    marks = [
        math.floor(s[2 * i] + (s[2 * i + 1] - (s[2 * i] + s[2 * i + 2]) / 2) / 2 + 0.5)
        for i in range(_LAST)
    ]
    return np.array([*marks, 65535], np.int64)


def curve_int16(op: str, scale: np.float32) -> NDArray[np.int16]:
    """Return the codes of ``Sigmoid`` or ``Tanh`` for the int16 codes -32768 ... 32767.

    `ValueError` if ``op`` is another, or ``scale`` so large that eq. (2) leaves int32.

    >>> curve_int16("Sigmoid", np.float32(2**-12))[[0, 32768, 65535]].tolist()
    [11, 16384, 32757]
    >>> curve_int16("Tanh", np.float32(2**-12))[[0, 32768, 65535]].tolist()
    [-32767, 0, 32767]
    """
    if op not in ("Sigmoid", "Tanh"):
        raise ValueError(f"op must be Sigmoid or Tanh, got {op!r}")
    v = _brought(np.arange(-(1 << 15), 1 << 15, dtype=np.int64), op, scale)
    bits = 9 if op == "Sigmoid" else 8
    marks, a = sigmoid_marks(), np.abs(v)
    u = np.minimum(a >> bits, _LAST)
    low = marks[u]
    p = (low << bits) + (a & ((1 << bits) - 1)) * (marks[np.minimum(u + 1, _LAST)] - low)
    if op == "Sigmoid":
        p = np.where(u >= _LAST, 0x7FFF << 10, p)
        codes = np.where(v >= 0, p + 512, (1 << 25) - p + 511) >> 10
    else:
        p = np.where(u >= _LAST, 0xFFFF << 8, p) - (1 << 23)
        codes = np.where(v >= 0, p + 128, -p + 127) >> 8
    return codes.astype(np.int16)


def nearest_power(scale: np.float32) -> int | None:
    """Return k where TFLite takes ``scale`` for 2^k: it is within 0.001 of it, in log2.

    >>> [nearest_power(np.float32(scale)) for scale in (0.25, 0.2501, 0.3)]
    [-2, -2, None]
    """
    inverse = np.float32(1) / np.log(np.float32(2))
    logarithm = np.float32(np.log(np.float32(scale)) * inverse)
    whole = np.rint(logarithm)
    return int(whole) if abs(logarithm - whole) < np.float32(1e-3) else None


def _brought(x: Int64, op: str, scale: np.float32) -> Int64:
    """Eq. (2)."""
    power = nearest_power(scale)
    if power == -12 or (power == -11 and op == "Tanh"):
        return x * (3 if power == -12 else 6)
    real, k = float(np.float32(scale) * np.float32(4096)) * 3.0, 0
    if real * 32768 > 2**31 - 1:
        raise ValueError(f"the scale of x must be below 5.33, got {scale}")
    while real <= 32767 / 2 and k <= 30:
        k, real = k + 1, real * 2
    return (x * int(real) + ((1 << k) >> 1)) >> k
