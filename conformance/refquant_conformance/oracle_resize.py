r"""The exact oracle of resized images of codes: where output i looks, and what is between codes.

With n elements and m places, place i of an axis is at

.. math::

    i\,\tfrac{n}{m}, \qquad (i + \tfrac12)\tfrac{n}{m} - \tfrac12, \qquad
    i\,\tfrac{n - 1}{m - 1}    \tag{1}

of ``asymmetric``, ``half_pixel``, ``align_corners``. ``exact`` is (1) in fractions; other values
say in which order float32 has it.

References
----------
ONNX, Resize; onnxruntime ``upsample.cc``; LiteRT ``reference/resize_bilinear.h`` and
``resize_nearest_neighbor.h``; XNNPACK ``indirection.c`` and ``s8-ibilinear``.
"""

import math
from fractions import Fraction

from refquant_conformance.rational import add, divide, float32, multiply, round_exact

__all__ = ["between_exact", "nearest_exact"]

Four = tuple[tuple[int, int], tuple[int, int]]
Axis = tuple[int, int, int]
"""Place, elements, places."""


def nearest_exact(axis: Axis, *, coordinates: str, source: str) -> int:
    """Return which element place ``axis[0]`` of an axis takes.

    >>> [nearest_exact((i, 2, 3), coordinates="half_pixel", source="exact") for i in range(3)]
    [0, 1, 1]
    """
    i, n, m = axis
    if source == "exact":
        if coordinates == "asymmetric":
            at = math.floor(Fraction(i * n, m))
        elif coordinates == "half_pixel":
            at = math.floor(Fraction((2 * i + 1) * n, 2 * m))
        else:
            at = math.floor(Fraction(i * (n - 1), max(m - 1, 1)) + Fraction(1, 2))
    elif source == "fixed_16" and coordinates == "asymmetric":
        at = math.floor(Fraction(i * (math.floor(Fraction(65536 * n, m)) + 1), 65536))
    elif source == "divided" or (
        source == "divided_but_corners" and coordinates != "align_corners"
    ):
        at = _round(_divided(axis, coordinates), coordinates)
    elif coordinates == "half_pixel":
        at = math.floor(multiply(add(float(i), 0.5), _ratio(n, m, coordinates)))
    else:
        at = _round(multiply(float(i), _ratio(n, m, coordinates)), coordinates)
    return min(max(at, 0), n - 1)


def _round(place: float, coordinates: str) -> int:
    if coordinates == "asymmetric":
        return math.floor(place)
    return round_exact(Fraction(place), "half_away")


def _ratio(n: int, m: int, coordinates: str) -> float:
    """Return elements a place, as one float32 quotient."""
    if coordinates == "align_corners" and m > 1:
        return divide(float(n - 1), float(m - 1))
    return divide(float(n), float(m))


def _divided(axis: Axis, coordinates: str) -> float:
    """Return the place by a division, float32."""
    i, n, m = axis
    scale = divide(float(m), float(n))
    if coordinates == "asymmetric":
        return divide(float(i), scale)
    if coordinates == "half_pixel":
        return add(divide(add(float(i), 0.5), scale), -0.5)
    return 0.0 if m == 1 else divide(multiply(float(i), float(n - 1)), float(m - 1))


def between_exact(
    plane: list[list[int]], row: Axis, column: Axis, *, coordinates: str, how: str,
    rule: tuple[float, int],
) -> int:  # fmt: skip
    """Return the code, not clamped, between four of ``plane``; ``rule`` is scale and zero point.

    >>> between_exact([[1, 4]], (0, 1, 1), (1, 2, 4), coordinates="asymmetric", how="fixed_10",
    ...               rule=(1.0, 0))
    3
    """
    if how == "fixed_10":
        return _fixed_10(plane, row, column, coordinates)
    if how == "fixed_11":
        return _fixed_11(plane, row, column, coordinates)
    if how == "half_up":
        return _half_up(plane, row, column, coordinates)
    if how.endswith("_f64"):
        return _float64(plane, row, column, coordinates, how, rule)
    y1, y2, down, up = _halves(row, coordinates)
    x1, x2, right, left = _halves(column, coordinates)
    scale, zero = rule if how == "of_reals" else (1.0, 0)
    total = 0.0
    for k, (at, a, b) in enumerate((((y1, x1), left, up), ((y1, x2), right, up),
                                    ((y2, x1), left, down), ((y2, x2), right, down))):  # fmt: skip
        v = multiply(float(plane[at[0]][at[1]] - zero), scale)
        term = multiply(multiply(a, b), v)
        total = add(total, term) if k else term
    if how == "truncated":
        return math.trunc(total)
    return round_exact(Fraction(divide(total, scale)), "half_even") + zero


def _halves(axis: Axis, coordinates: str) -> tuple[int, int, float, float]:
    """Return two elements and the distances to them, each the half where they are one."""
    n = axis[1]
    place = min(max(_divided(axis, coordinates), 0.0), float(n - 1))
    first = min(math.trunc(place), n - 1)
    second = min(first + 1, n - 1)
    if first == second:
        return first, second, 0.5, 0.5
    return first, second, abs(add(place, float(-first))), abs(add(place, float(-second)))


def _float64(
    plane: list[list[int]], row: Axis, column: Axis, coordinates: str, how: str,
    rule: tuple[float, int],
) -> int:  # fmt: skip
    scale, zero = rule if how == "of_reals_f64" else (1.0, 0)
    found = []
    for i, n, m in (row, column):
        ratio = divide(float(m), float(n), bits=64)
        place = divide(float(i), ratio, bits=64)
        if coordinates == "half_pixel":
            place = add(divide(add(float(i), 0.5, bits=64), ratio, bits=64), -0.5, bits=64)
        elif coordinates == "align_corners":
            place = divide(float(i * (n - 1)), float(max(m - 1, 1)), bits=64)
        place = min(max(place, 0.0), float(n - 1))
        first = math.floor(place)
        found.append((first, min(first + 1, n - 1), add(place, float(-first), bits=64)))
    (y1, y2, down), (x1, x2, right) = found

    def between(a: float, b: float, part: float) -> float:
        left = multiply(a, add(1.0, -part, bits=64), bits=64)
        return add(left, multiply(b, part, bits=64), bits=64)

    def real(y: int, x: int) -> float:
        return multiply(float(plane[y][x] - zero), scale)

    sides = [between(real(y1, x), real(y2, x), down) for x in (x1, x2)]
    total = between(sides[0], sides[1], right)
    if how == "of_reals_f64":
        total = divide(float32(Fraction(total)), scale)
    return round_exact(Fraction(total), "half_even") + zero


def _half_up(plane: list[list[int]], row: Axis, column: Axis, coordinates: str) -> int:
    found = []
    for axis in (row, column):
        i, n, m = axis
        ratio = _ratio(n, m, coordinates)
        place = multiply(float(i), ratio)
        if coordinates == "half_pixel":
            place = add(multiply(add(float(i), 0.5), ratio), -0.5)
        first, second = max(math.floor(place), 0), min(math.ceil(place), n - 1)
        found.append((first, second, add(place, float(-first))))
    (y1, y2, down), (x1, x2, right) = found
    up, left = add(1.0, -down), add(1.0, -right)
    total = 0.0
    for k, (y, x, a, b) in enumerate(((y1, x1, up, left), (y2, x1, down, left),
                                      (y1, x2, up, right), (y2, x2, down, right))):  # fmt: skip
        term = multiply(multiply(float(plane[y][x]), a), b)
        total = add(total, term) if k else term
    return math.trunc(add(total, 0.5))


def _fixed_10(plane: list[list[int]], row: Axis, column: Axis, coordinates: str) -> int:
    found = []
    for i, n, m in (row, column):
        scale = (1024 * n + m // 2) // m
        if coordinates == "align_corners" and m > 1:
            scale = (1024 * (n - 1) + (m - 1) // 2) // (m - 1)
        place = i * scale
        if coordinates == "half_pixel":
            place += scale // 2 - 512
        first = max(math.trunc(Fraction(place, 1024)), 0)
        found.append((first, min(math.trunc(Fraction(place + 1023, 1024)), n - 1), place))
    (y1, y2, down), (x1, x2, right) = found
    down, right = down - 1024 * y1, right - 1024 * x1
    total = (
        plane[y1][x1] * (1024 - down) * (1024 - right)
        + plane[y2][x1] * down * (1024 - right)
        + plane[y1][x2] * (1024 - down) * right
        + plane[y2][x2] * down * right
    )
    return round_exact(Fraction(total, 2**20), "half_away")


def _fixed_11(plane: list[list[int]], row: Axis, column: Axis, coordinates: str) -> int:
    found = []
    for i, n, m in (row, column):
        ratio = _ratio(n, m, coordinates)
        place = multiply(float(i), ratio)
        if coordinates == "half_pixel":
            place = add(multiply(ratio, float(i)), add(multiply(0.5, ratio), -0.5))
        place = min(max(place, 0.0), float(n - 1))
        first = math.trunc(place)
        part = round_exact(Fraction(multiply(add(place, float(-first)), 2048.0)), "half_even")
        found.append((first, min(first + 1, n - 1), part))
    (y1, y2, down), (x1, x2, right) = found
    top = plane[y1][x1] * 2048 + (plane[y1][x2] - plane[y1][x1]) * right
    bottom = plane[y2][x1] * 2048 + (plane[y2][x2] - plane[y2][x1]) * right
    return round_exact(Fraction(top * 2048 + (bottom - top) * down, 2**22), "half_up")
