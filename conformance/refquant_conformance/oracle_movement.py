r"""The exact oracle of movement: where an element comes from, and what becomes of its code.

Written from ONNX's text of the operators, in integers and fractions.

References
----------
ONNX, Reshape, Transpose, Slice, Gather, Pad, Concat, MaxPool; onnxruntime, QLinearConcat; LiteRT,
CONCATENATION (``ratio_half_away``).
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from math import prod

from refquant_conformance.oracle_fake_quantize import moved_by_range_exact
from refquant_conformance.rational import add, divide, multiply, round_exact

__all__ = ["largest_exact", "requantized_exact", "source_exact"]

Rule = tuple[float, int]
Shape = tuple[int, ...]


def source_exact(kind: str, params: Mapping[str, Sequence[int]], shape: Shape, at: int) -> int:
    """Return which element of x output element ``at`` is, -1 for padding; both in row-major order.

    >>> source_exact("transpose", {"perm": (1, 0)}, (2, 3), 1)
    3
    >>> source_exact("pad", {"pads": (0, 1, 0, 0)}, (1, 2), 0)
    -1
    """
    if kind == "reshape":
        return at
    if kind == "transpose":
        perm = params["perm"]
        place = _unravel(at, tuple(shape[axis] for axis in perm))
        back = {axis: place[k] for k, axis in enumerate(perm)}
        return _ravel([back[axis] for axis in range(len(shape))], shape)
    if kind == "slice":
        starts, ends = params["starts"], params["ends"]
        size = tuple(min(end, n) - start for start, end, n in zip(starts, ends, shape, strict=True))
        place = _unravel(at, size)
        return _ravel([p + start for p, start in zip(place, starts, strict=True)], shape)
    if kind == "gather":
        (axis,), indices = params["axis"], params["indices"]
        size = tuple(len(indices) if k == axis else n for k, n in enumerate(shape))
        place = _unravel(at, size)
        place[axis] = indices[place[axis]]
        return _ravel(place, shape)
    if kind == "pad":
        begins, ends = params["pads"][: len(shape)], params["pads"][len(shape) :]
        size = tuple(b + n + e for b, n, e in zip(begins, shape, ends, strict=True))
        place = [p - b for p, b in zip(_unravel(at, size), begins, strict=True)]
        inside = all(0 <= p < n for p, n in zip(place, shape, strict=True))
        return _ravel(place, shape) if inside else -1
    if kind == "concat":
        (axis,) = params["axis"]
        place = _unravel(at, tuple(2 * n if k == axis else n for k, n in enumerate(shape)))
        place[axis] %= shape[axis]
        return _ravel(place, shape)
    raise ValueError(f"codes move by no {kind!r}")


def _unravel(at: int, shape: Shape) -> list[int]:
    place = []
    for axis in range(len(shape)):
        step = prod(shape[axis + 1 :])
        place.append(at // step)
        at %= step
    return place


def _ravel(place: Sequence[int], shape: Shape) -> int:
    at = 0
    for p, n in zip(place, shape, strict=True):
        at = at * n + p
    return at


def largest_exact(codes: Sequence[int | None], padding: int | None) -> int:
    """Return the largest code of a window; ``padding`` is what None stands for, if for anything.

    >>> largest_exact([None, -5], None), largest_exact([None, -5], 0)
    (-5, 0)
    """
    seen = [padding if code is None else code for code in codes]
    return max(code for code in seen if code is not None)


def requantized_exact(code: int, x: Rule, y: Rule, *, how: str, limits: tuple[int, int]) -> int:
    """Return the code, by the rule y, of what ``code`` stands for by the rule x.

    >>> [requantized_exact(1, (1.0, 0), (2.0, 0), how=how, limits=(0, 255))
    ...  for how in ("quotient", "ratio_half_away")]
    [0, 1]
    """
    if how.startswith("ratio"):
        if x == y:
            return code
        ratio = multiply(x[0], divide(1.0, y[0]))
        moved = add(multiply(float(code), ratio), multiply(float(-x[1]), ratio))
        whole = round_exact(Fraction(moved), how.removeprefix("ratio_")) + y[1]
        return min(max(whole, limits[0]), limits[1])
    if how == "by_range":
        return moved_by_range_exact(code, x, y, limits)
    real = multiply(float(code - x[1]), x[0])
    if how.startswith("reciprocal"):
        steps = multiply(real, divide(1.0, y[0]))
    else:
        steps = divide(real, y[0])
    if how.endswith("zero_point_first"):
        whole = round_exact(Fraction(add(steps, float(y[1]))), "half_even")
    else:
        rule = "half_away" if how.endswith("half_away") else "half_even"
        whole = round_exact(Fraction(steps), rule) + y[1]
    return min(max(whole, limits[0]), limits[1])
