r"""rndnu16: requantization in sixteen-bit registers, for outputs of eight bits.

A core whose widest fast product is 16 x 16 bits has room for an accumulator of 16 bits only. So
the accumulator a is shifted first, by the exponent of the multiplier, and then multiplied by what
is left of it, a number in [1/2, 1). With a float32 m and

.. math::

    m \approx M\,2^{s - 15}, \qquad 2^{14} \le M < 2^{15},\ \text{M rounded half up}      \tag{1}

    x = \mathrm{sat}_{16}\begin{cases} a\,2^s & s \ge 0 \\
        \lfloor (a + 2^{-s-1}) / 2^{-s} \rfloor & s < 0 \end{cases}                      \tag{2}

    y = \lfloor (x M + 2^{14}) / 2^{15} \rfloor                                           \tag{3}

Two roundings, both with ties up, and one saturation: :math:`\mathrm{sat}_{16}` clamps to
[-32768, 32767]. (The original saturates to int32 on its way there, which changes nothing.) A
saturated x gives y <= -16384 or y >= 16384: far outside eight bits, whatever the zero point, so
that codes of eight bits never show it. Codes of sixteen bits would, and the original has none.

Input: any int32 a; m a float32 in :math:`[2^{-32}, 256)`, which the original asserts: other
multipliers are undefined there and refused here.

Source: XNNPACK, ``xnn_qu8_requantize_rndnu16`` (``src/xnnpack/requantization.h``) and its
parameters (``src/microparams-init.c``), as of 75db3c0; used for uint8 products on Arm Cortex-A53.
"""

import numpy as np
from numpy.typing import NDArray

from refquant.numerics.fixedpoint import decompose

__all__ = ["rndnu16"]


def rndnu16(acc: NDArray[np.int64], real: NDArray[np.float64]) -> NDArray[np.int64]:
    """Return y of eq. (3): int32 ``acc`` by ``real``, which is rounded to float32 first.

    The arrays broadcast; the result is within int16. A ``real`` that is not in [2**-32, 256) as
    float32 is a `ValueError`.

    >>> rndnu16(np.array([-6, 6, 10**9]), np.array(0.25)).tolist()  # -1.5, 1.5, much
    [-1, 2, 16384]
    """
    narrow = real.astype(np.float32)
    if not ((narrow >= 2.0**-32) & (narrow < 256)).all():
        raise ValueError(f"multiplier must be in [2**-32, 256) for 'rndnu16', got {real}")
    m, shift = decompose(narrow, num_bits=15, rule="half_up")
    left, right = np.maximum(shift, 0), np.maximum(-shift, 0)
    shifted = ((acc << left) + ((np.int64(1) << right) >> 1)) >> right
    x = np.clip(shifted, -(2**15), 2**15 - 1)  # eq. (2)
    y: NDArray[np.int64] = (x * m + (1 << 14)) >> 15
    return y
