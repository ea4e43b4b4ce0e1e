"""Optimal Brain Surgeon in fractions: what GPTQ computes, one weight at a time.

No triangle, no blocks, no float: the inverse Hessian of the free columns is updated by Gaussian
elimination after each column. Rows are independent, so this is the walk of one row.
"""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

Ruler = tuple[Fraction, int]


def inverse(h: Sequence[Sequence[Fraction]]) -> list[list[Fraction]]:
    """Return the inverse by Gauss and Jordan."""
    k = len(h)
    rows = [[*row, *(Fraction(i == j) for j in range(k))] for i, row in enumerate(h)]
    for i in range(k):
        pivot = rows[i][i]
        rows[i] = [v / pivot for v in rows[i]]
        for j in range(k):
            if j != i:
                factor = rows[j][i]
                rows[j] = [a - factor * b for a, b in zip(rows[j], rows[i], strict=True)]
    return [row[k:] for row in rows]


def damped(h: Any, damp: float) -> list[list[Fraction]]:
    """Return H + lambda I exactly."""
    exact = [[Fraction(float(v)) for v in row] for row in h]
    lift = Fraction(damp) * sum(exact[j][j] for j in range(len(exact))) / len(exact)
    return [[v + lift * (i == j) for j, v in enumerate(row)] for i, row in enumerate(exact)]


def nearest(w: Fraction, ruler: Ruler, qmax: int) -> tuple[int, Fraction]:
    """Return code and value; Python's ``round`` is half to even."""
    scale, zero = ruler
    code = min(max(round(w / scale) + zero, 0), qmax)
    return code, (code - zero) * scale


def walk(
    w: Sequence[Fraction],
    h: Sequence[Sequence[Fraction]],
    *,
    order: Sequence[int],
    ruler: Callable[[int, list[Fraction]], Ruler],
    qmax: int,
) -> tuple[list[int], list[Fraction]]:
    """Return codes and values of one row; ``ruler(position, weights now)`` is asked each step."""
    now, inv = list(w), inverse(h)
    codes, values = [0] * len(w), [Fraction(0)] * len(w)
    for position, j in enumerate(order):
        codes[j], values[j] = nearest(now[j], ruler(position, now), qmax)
        step = (now[j] - values[j]) / inv[j][j]
        free = order[position:]
        column = {i: inv[i][j] for i in free}
        for i in free:
            now[i] -= step * column[i]
        for a in free:
            for b in free:
                inv[a][b] -= column[a] * column[b] / column[j] if (a, b) != (j, j) else 0
    return codes, values
