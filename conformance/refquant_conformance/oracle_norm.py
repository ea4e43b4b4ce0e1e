r"""The exact oracle of layer normalization: one element of a row, one rounding at a time.

References
----------
ONNX, LayerNormalization (its function body); NumPy's pairwise sums, for ``eight``.
"""

import math
from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, divide, float32, multiply

__all__ = ["layer_norm_exact", "sum_exact"]


def sum_exact(values: Sequence[float], order: str) -> float:
    """Return the float32 sum of at most 128 values.

    >>> tiny = 2.0**-24
    >>> [sum_exact([1.0, tiny, tiny, tiny, 0, 0, 0, 0], order) for order in ("ordered", "eight")]
    [1.0, 1.0000001192092896]
    """
    if order == "ordered" or len(values) < 8:
        total = 0.0
        for value in values:
            total = add(total, value)
        return total
    whole = len(values) // 8 * 8
    lanes = list(values[:8])
    for k in range(8, whole):
        lanes[k % 8] = add(lanes[k % 8], values[k])
    while len(lanes) > 1:
        lanes = [add(lanes[k], lanes[k + 1]) for k in range(0, len(lanes), 2)]
    total = lanes[0]
    for value in values[whole:]:
        total = add(total, value)
    return total


def layer_norm_exact(
    row: Sequence[float], at: int, scale: float, bias: float | None, *, epsilon: float,
    sums: str, variance: str, inverse: str,
) -> float:  # fmt: skip
    """Return element ``at`` of a normalized row.

    >>> layer_norm_exact([1.0, 3.0], 1, 1.0, None, epsilon=3.0, sums="ordered",
    ...                  variance="two_pass", inverse="reciprocal")
    0.5
    """
    n = float(len(row))
    mean = divide(sum_exact(row, sums), n)
    apart = [add(x, -mean) for x in row]
    if variance == "two_pass":
        spread = divide(sum_exact([multiply(d, d) for d in apart], sums), n)
    else:
        squares = divide(sum_exact([multiply(x, x) for x in row], sums), n)
        spread = add(squares, -multiply(mean, mean))
    under = add(spread, float32(Fraction(epsilon)))
    if under < 0:
        return math.nan
    root = _root(under)
    if inverse == "reciprocal":
        y = multiply(apart[at], divide(1.0, root))
    else:
        y = divide(apart[at], root)
    y = multiply(y, scale)
    return y if bias is None else add(y, bias)


def _root(v: float) -> float:
    """Return the float32 square root: the root of 2^k v, with enough bits to round once."""
    exact = Fraction(v)
    shift = 2 * (64 + max(0, exact.denominator.bit_length() - exact.numerator.bit_length()))
    whole = math.isqrt(int(exact * 2**shift))
    rest = Fraction(whole * whole) != exact * 2**shift
    return float32(Fraction(2 * whole + rest, 2 ** (shift // 2 + 1)))
