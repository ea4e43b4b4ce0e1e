"""Real multipliers as an int32 and a power of two: ``docs/spec/operators.md`` section 4."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["quantize_multiplier"]

Array = NDArray[Any]


def quantize_multiplier(real: Array) -> tuple[Array, Array]:
    """Return ``(m, shift)`` int32 with real = m * 2^(shift - 31) and 2^30 <= m < 2^31.

    >>> [array.tolist() for array in quantize_multiplier(np.array([0.5, 1e-12]))]
    [[1073741824, 0], [0, 0]]
    """
    fraction, exponent = np.frexp(np.asarray(real, np.float64))
    m = np.floor(fraction * 2.0**31 + 0.5).astype(np.int64)
    carry = m == 2**31
    m, shift = np.where(carry, m // 2, m), exponent + carry
    tiny = shift < -31
    return (
        np.where(tiny, 0, m).astype(np.int32),
        np.where(tiny, 0, shift).astype(np.int32),
    )
