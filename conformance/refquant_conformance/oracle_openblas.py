"""The exact oracle of a row times a matrix in OpenBLAS's order, one column at a time.

Written from the table of ``arithmetic.openblas_sums``: every operation is one rounding of an exact
number.

References
----------
As ``arithmetic.openblas_sums``.
"""

from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import add, float32, fused, multiply

__all__ = ["openblas_sum_exact"]

Reals = Sequence[float]


def openblas_sum_exact(row: Reals, column: Reals, *, columns: int, at: int) -> float:
    """Return column ``at`` of ``columns`` of the product.

    >>> row, ones = [2.0**24, 1.0, 1.0, 0.0], [1.0] * 4
    >>> [openblas_sum_exact(row, ones, columns=n, at=0) for n in (1, 2, 4)]
    [16777218.0, 16777216.0, 16777216.0]
    """
    if columns == 1:
        return _dot(row, column)
    if len(row) != 4 and len(row) <= 48:
        return _fused(row, column, 0.0)
    last = columns % 4
    if columns < 4:
        total, k = 0.0, 0
        while k + 4 <= len(row):
            for j in (k, k + 2):
                second = multiply(row[j + 1], column[j + 1])
                total = add(total, fused(row[j], column[j], second))
            k += 4
        return _fused(row[k:], column[k:], total)
    if at >= columns - last:
        return _fused(row, column, 0.0)
    return _in_pieces(row, column, _is_apart(columns - last, at))


def _is_apart(whole: int, at: int) -> bool:
    """Whether a column is among those whose even and odd terms are added apart."""
    chunk, place = divmod(at, 4096)
    size = min(4096, whole - 4096 * chunk)
    return place < (4 if size % 8 >= 4 else 0) + (8 if size % 16 >= 8 else 0)


def _in_pieces(row: Reals, column: Reals, apart: bool) -> float:
    total, left = 0.0, list(zip(row, column, strict=True))
    for size in (8, 4, 2, 1):
        while len(left) >= size:
            piece, left = left[:size], left[size:]
            ways = [piece[0::2], piece[1::2]] if apart and size > 2 else [piece]
            sums = [_fused([a for a, _ in way], [b for _, b in way], 0.0) for way in ways]
            total = add(total, sums[0] if len(sums) == 1 else add(sums[0], sums[1]))
    return total


def _fused(row: Reals, column: Reals, start: float) -> float:
    total = start
    for a, b in zip(row, column, strict=True):
        total = fused(a, b, total)
    return total


def _dot(row: Reals, column: Reals) -> float:
    n = len(row)
    long, whole = n - n % 64, n - n % 32
    wide = [_fused(row[lane:long:64], column[lane:long:64], 0.0) for lane in range(64)]
    lanes = []  # of 64 lanes each register holds 16; both halves of it are added
    for lane in range(32):
        register, place = divmod(lane, 8)
        folded = add(wide[16 * register + place], wide[16 * register + 8 + place])
        rest = slice(long + lane, whole, 32)
        lanes.append(_fused(row[rest], column[rest], folded))
    eight = [add(add(add(lanes[j], lanes[8 + j]), lanes[16 + j]), lanes[24 + j]) for j in range(8)]
    four = [add(eight[j], eight[j + 4]) for j in range(4)]
    total = 0.0
    for a, b in zip(row[whole:], column[whole:], strict=True):
        total = add(total, multiply(a, b), bits=64)
    total = add(total, add(add(four[0], four[1]), add(four[2], four[3])), bits=64)
    return float32(Fraction(total))
