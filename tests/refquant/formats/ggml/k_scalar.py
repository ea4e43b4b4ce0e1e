"""The searches of K-quants as scalar programs, one sub-block at a time: the oracle of ``k_*.py``.

A float32 is a Python float, rounded after every operation by ``f32``: correctly rounded float32
arithmetic (a double has more than 2 * 24 + 2 bits), in the order of the text of ggml's loops.
"""

import math
from collections.abc import Sequence

from tests.refquant.formats.ggml.simple import f32

Column = Sequence[float]


def mul(*factors: float) -> float:
    """The product from left to right."""
    product = factors[0]
    for factor in factors[1:]:
        product = f32(product * factor)
    return product


def total(terms: Column) -> float:
    """The sum from the first to the last."""
    result = 0.0
    for term in terms:
        result = f32(result + term)
    return result


def divide(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a)
    return f32(a / b)


def nearest(v: float) -> int:
    """Ties to even; the numbers of these tests are small."""
    return round(v)


def scale_min(
    x: Column, w: Column, *, nmax: int, start: float, delta: float, steps: int, absolute: bool
) -> tuple[float, float, list[int]]:
    """Scale, minimum (negated), codes: equations (1) and (2) of ``k_grids.py``."""
    low, high = min(0.0, *x), max(x)
    if low == high:
        return 0.0, -low, [0] * len(x)

    def codes(kappa: float, base: float) -> list[int]:
        return [min(max(nearest(mul(kappa, f32(v - base))), 0), nmax) for v in x]

    def error(scale: float, minimum: float, q: list[int]) -> float:
        parts = [f32(f32(mul(scale, c) + minimum) - v) for c, v in zip(q, x, strict=True)]
        parts = [abs(p) if absolute else mul(p, p) for p in parts]
        return total([mul(weight, p) for weight, p in zip(w, parts, strict=True)])

    sum_w, sum_x = total(w), total([mul(a, b) for a, b in zip(w, x, strict=True)])
    kappa = divide(nmax, f32(high - low))
    best = codes(kappa, low)
    scale, minimum = divide(1, kappa), low
    least = error(scale, minimum, best)
    for t in range(steps + 1):
        span = f32(f32(f32(start) + mul(f32(delta), t)) + nmax)
        q = codes(divide(span, f32(high - minimum)), minimum)
        sum_l = total([mul(a, c) for a, c in zip(w, q, strict=True)])
        sum_l2 = total([mul(a, c, c) for a, c in zip(w, q, strict=True)])
        sum_xl = total([mul(a, c, v) for a, c, v in zip(w, q, x, strict=True)])
        det = f32(mul(sum_w, sum_l2) - mul(sum_l, sum_l))
        if not det > 0:
            continue
        s = divide(f32(mul(sum_w, sum_xl) - mul(sum_x, sum_l)), det)
        m = divide(f32(mul(sum_l2, sum_x) - mul(sum_l, sum_xl)), det)
        if m > 0:
            s, m = divide(sum_xl, sum_l2), 0.0
        e = error(s, m, q)
        if e < least:
            least, scale, minimum, best = e, s, m, q
    return scale, -minimum, best


def largest(x: Column) -> float:
    """The first value of largest magnitude."""
    return max(x, key=abs)  # max keeps the first of equals


def scale_alone(x: Column, w: Column, *, nmax: int) -> tuple[float, list[int]]:
    """Scale and stored codes: equations (1) and (2) of ``k_search.py``."""
    top = largest(x)
    if abs(top) < f32(1e-15):
        return 0.0, [0] * len(x)

    def tried(t: int) -> tuple[list[int], float, float]:
        span = f32(nmax + mul(f32(0.1), t))
        kappa = divide(-span, top)
        q = [min(max(nearest(mul(kappa, v)), -nmax), nmax - 1) for v in x]
        xl = total([mul(a, v, c) for a, v, c in zip(w, x, q, strict=True)])
        return q, xl, total([mul(a, c, c) for a, c in zip(w, q, strict=True)])

    best, xl, l2 = tried(0)
    scale = divide(xl, l2) if l2 else 0.0
    quality = mul(scale, xl)
    for t in range(-9, 10):
        q, xl, l2 = tried(t)
        if t and l2 > 0 and mul(xl, xl) > mul(quality, l2):
            best, scale = q, divide(xl, l2)
            quality = mul(scale, xl)
    return scale, [c + nmax for c in best]


def descend(
    x: Column, w: Column, q: list[int], *, low: int, high: int, positive: bool
) -> tuple[float, list[int]]:
    """Scale and codes after at most five rounds: equations (1) and (2) of ``k_descent.py``."""
    xl = total([mul(a, v, c) for a, v, c in zip(w, x, q, strict=True)])
    l2 = total([mul(a, c, c) for a, c in zip(w, q, strict=True)])
    for _ in range(5):
        changed = False
        for i, (v, a) in enumerate(zip(x, w, strict=True)):
            rest_xl, rest_l2 = f32(xl - mul(a, v, q[i])), f32(l2 - mul(a, q[i], q[i]))
            if not rest_xl > 0 or (positive and not rest_l2 > 0):
                continue
            new = min(max(nearest(divide(mul(v, rest_l2), rest_xl)), low), high)
            if new == q[i]:
                continue
            new_xl, new_l2 = f32(rest_xl + mul(a, v, new)), f32(rest_l2 + mul(a, new, new))
            if new_l2 > 0 and mul(new_xl, new_xl, l2) > mul(xl, xl, new_l2):
                q[i], xl, l2, changed = new, new_xl, new_l2, True
        if not changed:
            break
    return (divide(xl, l2) if l2 > 0 else 0.0), q


def signed(x: Column, *, nmax: int) -> tuple[float, list[int]]:
    top, w = largest(x), [mul(v, v) for v in x]
    if abs(top) < f32(1e-15):
        return 0.0, [0] * len(x)
    kappa = divide(-nmax, top)
    q = [min(max(nearest(mul(kappa, v)), -nmax), nmax - 1) for v in x]
    scale, q = descend(x, w, q, low=-nmax, high=nmax - 1, positive=False)
    return scale, [c + nmax for c in q]


def positive(x: Column, w: Column, *, nmax: int) -> tuple[float, list[int]]:
    top = max(x)
    if top < f32(1e-15):
        return 0.0, [0] * len(x)
    best = divide(nmax, top)
    least = squared_error(x, w, best, nmax)
    for t in (-4, -3, -2, -1, 1, 2, 3, 4):
        kappa = divide(f32(mul(f32(0.1), t) + nmax), top)
        e = squared_error(x, w, kappa, nmax)
        if e < least:
            least, best = e, kappa
    q = [min(nearest(mul(best, v)), nmax) for v in x]
    return descend(x, w, q, low=0, high=nmax, positive=True)


def squared_error(x: Column, w: Column, kappa: float, nmax: int) -> float:
    unit = divide(1, kappa)
    parts = [f32(v - mul(unit, min(nearest(mul(kappa, v)), nmax))) for v in x]
    return total([mul(a, p, p) for a, p in zip(w, parts, strict=True)])
