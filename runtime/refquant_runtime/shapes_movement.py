"""Shapes of the operators that only move elements, and the checks that all shape rules share."""

import math
from collections.abc import Sequence

from refquant_runtime.rules import Attributes, can, need

__all__ = [
    "axes_of", "axis_of", "broadcast", "concat", "flatten", "integers", "pad", "reshape",
    "shape_of", "slices", "squeeze", "transpose", "unsqueeze",
]  # fmt: skip

Shape = tuple[int, ...]
MOST = 2**31  # of an attribute: more than any size, and kernels multiply it by sizes in int64


def integers(attributes: Attributes, key: str, default: list[int], minimum: int) -> list[int]:
    """Return a list attribute of as many integers as its default has."""
    value: list[int] = attributes.get(key, default)
    ok = len(value) == len(default) and all(v >= minimum for v in value)
    need(ok, f"attribute {key} must be {len(default)} integers >= {minimum}, got {value!r:.60}")
    can(all(v < MOST for v in value), f"attribute {key} is {value!r:.60}, from 2**31 on")
    return list(value)


def shape_of(inputs: Sequence[Shape | None], index: int) -> Shape:
    """Return the shape of an operand that must be there."""
    shape = inputs[index] if index < len(inputs) else None
    if shape is None:
        raise ValueError(f"input {index} is required")
    return shape


def broadcast(shapes: Sequence[Shape]) -> Shape:
    """Return the shape that all ``shapes`` become, as NumPy broadcasts them."""
    rank = max(len(shape) for shape in shapes)
    full = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for sizes in zip(*full, strict=True):
        others = {size for size in sizes if size != 1}
        need(len(others) <= 1, f"shapes {[list(s) for s in shapes]} do not broadcast")
        result.append(others.pop() if others else 1)
    return tuple(result)


def reshape(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Reshape: 0 copies a dimension, -1 takes what is left."""
    x = shape_of(inputs, 0)
    need("shape" in attributes, "needs the attribute shape")
    target: list[int] = attributes["shape"]
    ok = all(v >= -1 for v in target) and target.count(-1) <= 1 and len(target) <= 6
    need(ok, f"attribute shape is {target!r:.60}: at most 6 sizes, at most one of them -1")
    need(all(v != 0 or i < len(x) for i, v in enumerate(target)), "a 0 copies no dimension")
    sizes = [x[i] if v == 0 else v for i, v in enumerate(target)]
    if -1 in sizes:
        known = -math.prod(sizes)
        need(known > 0 and math.prod(x) % known == 0, f"{list(x)} does not fit {target}")
        sizes[sizes.index(-1)] = math.prod(x) // known
    need(math.prod(sizes) == math.prod(x), f"{list(x)} does not fit {target}")
    return [tuple(sizes)]


def transpose(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Transpose: the dimensions in the order of perm."""
    x = shape_of(inputs, 0)
    perm = attributes.get("perm", list(range(len(x)))[::-1])
    need(sorted(perm) == list(range(len(x))), f"perm {perm!r:.60} does not fit rank {len(x)}")
    return [tuple(x[axis] for axis in perm)]


def axis_of(attributes: Attributes, rank: int, default: int | None = None) -> int:
    """Return the attribute axis, counted from the front."""
    need("axis" in attributes or default is not None, "needs the attribute axis")
    axis: int = attributes.get("axis", default)
    need(-rank <= axis < rank, f"axis {axis} is outside rank {rank}")
    return axis % rank


def axes_of(attributes: Attributes, rank: int, *, some: bool = False) -> list[int]:
    """Return the attribute axes, counted from the front; different, and some if that is asked."""
    need("axes" in attributes, "needs the attribute axes")
    axes = attributes["axes"]
    need(all(-rank <= axis < rank for axis in axes), f"axes {axes!r:.60} of rank {rank}")
    places = [axis % rank for axis in axes]
    different = len(set(places)) == len(places)
    need(different and (places != [] or not some), f"axes are different, got {axes!r:.60}")
    return places


def slices(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Slice: a part of some axes, steps of 1; ends and starts as Python counts them."""
    x = shape_of(inputs, 0)
    places = axes_of(attributes, len(x))
    starts, ends = attributes.get("starts"), attributes.get("ends")
    fits = starts is not None and ends is not None and len(starts) == len(ends) == len(places)
    need(fits, "starts, ends and axes are attributes, as many of each")
    result = list(x)
    for axis, start, end in zip(places, starts or (), ends or (), strict=True):
        first, last, _ = slice(start, end).indices(x[axis])
        result[axis] = max(last - first, 0)
    return [tuple(result)]


def squeeze(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Squeeze: without some axes of length 1."""
    x = shape_of(inputs, 0)
    places = axes_of(attributes, len(x))
    need(all(x[axis] == 1 for axis in places), f"axes {places} of {list(x)} have length 1")
    return [tuple(d for i, d in enumerate(x) if i not in places)]


def unsqueeze(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Unsqueeze: with axes of length 1 more, counted in the result."""
    x = shape_of(inputs, 0)
    rank = len(x) + len(attributes.get("axes", []))
    need(rank <= 6, f"a shape has at most 6 axes, got {rank}")
    places = axes_of(attributes, rank)
    rest = iter(x)
    return [tuple(1 if i in places else next(rest) for i in range(rank))]


def concat(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Concat: equal but for the axis, along which sizes add up."""
    shapes = [shape_of(inputs, i) for i in range(len(inputs))]
    axis = axis_of(attributes, len(shapes[0]))
    rest = {(*shape[:axis], *shape[axis + 1 :], len(shape)) for shape in shapes}
    need(len(rest) == 1, f"shapes {[list(s) for s in shapes]} differ outside axis {axis}")
    total = sum(shape[axis] for shape in shapes)
    return [(*shapes[0][:axis], total, *shapes[0][axis + 1 :])]


def pad(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Pad: every dimension grows by its two pads."""
    x = shape_of(inputs, 0)
    need("pads" in attributes, "needs the attribute pads")
    pads = integers(attributes, "pads", [0] * (2 * len(x)), 0)
    return [tuple(s + a + b for s, a, b in zip(x, pads, pads[len(x) :], strict=False))]


def flatten(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Flatten: all but the first dimension become one."""
    x = shape_of(inputs, 0)
    need(len(x) >= 1, "needs rank 1 or more, got a scalar")
    return [(x[0], math.prod(x[1:]))]
