"""Shapes of the operators that only move elements, and the checks that all shape rules share."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = [
    "axis_of", "concat", "flatten", "integers", "need", "pad", "reshape", "shape_of", "transpose",
]  # fmt: skip

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]


def need(condition: bool, rule: str) -> None:
    """Raise ``ValueError`` with the rule unless it holds."""
    if not condition:
        raise ValueError(rule)


def integers(attributes: Attributes, key: str, default: list[int], minimum: int) -> list[int]:
    """Return a list attribute of as many integers as its default has."""
    value = attributes.get(key, default)
    ok = isinstance(value, list) and len(value) == len(default)
    ok = ok and all(type(v) is int and minimum <= v < 2**20 for v in value)
    need(ok, f"attribute {key} must be {len(default)} integers >= {minimum}, got {value!r}")
    return list(value)


def shape_of(inputs: Sequence[Shape | None], index: int) -> Shape:
    """Return the shape of an operand that must be there."""
    shape = inputs[index] if index < len(inputs) else None
    if shape is None:
        raise ValueError(f"input {index} is required")
    return shape


def reshape(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Reshape: 0 copies a dimension, -1 takes what is left."""
    x, target = shape_of(inputs, 0), attributes.get("shape")
    ok = isinstance(target, list) and all(type(v) is int and -1 <= v < 2**31 for v in target)
    need(ok, f"attribute shape is {target!r}")
    assert isinstance(target, list)
    need(target.count(-1) <= 1, f"attribute shape is {target!r}")
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
    need(isinstance(perm, list) and sorted(perm) == list(range(len(x))), f"perm is {perm!r}")
    return [tuple(x[axis] for axis in perm)]


def axis_of(attributes: Attributes, rank: int, default: int | None = None) -> int:
    """Return the attribute axis, counted from the front."""
    axis = attributes.get("axis", default)
    need(type(axis) is int and -rank <= axis < rank, f"axis {axis!r} is outside rank {rank}")
    assert isinstance(axis, int)
    return axis % rank


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
    need(attributes.get("mode", "constant") == "constant", "mode must be constant")
    pads = integers(attributes, "pads", [0] * (2 * len(x)), 0)
    return [tuple(s + a + b for s, a, b in zip(x, pads, pads[len(x) :], strict=False))]


def flatten(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    """Flatten: all but the first dimension become one."""
    x = shape_of(inputs, 0)
    need(attributes.get("axis", 1) == 1 and len(x) >= 1, "axis must be 1")
    return [(x[0], math.prod(x[1:]))]
