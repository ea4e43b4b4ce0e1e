"""Shapes of operators that only move elements: Reshape, Transpose, Slice and kin.

Each rule takes the operator's name (for errors), the shapes of its inputs and its attributes.
"""

import math
from collections.abc import Sequence

from refquant.model.graph import Shape
from refquant.model.shapes_common import (
    Attributes,
    axis_of,
    fixed,
    integer,
    ints,
    need,
    sizes,
    within,
)

__all__ = [
    "concat",
    "fake_quantize",
    "flatten",
    "pad",
    "reshape",
    "slice_axes",
    "squeeze",
    "transpose",
    "unsqueeze",
]

Shapes = Sequence[Shape]


def reshape(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape that 0 (copy) and -1 (infer) complete."""
    x, target = shapes[0], ints(attributes, "shape") or ()
    if "N" in x and target[:1] != (0,):
        raise ValueError(f"{op}: shape begins with 0, which keeps N, got {list(target)}")
    if target.count(-1) > 1 or any(
        d < -1 or (d == 0 and i >= len(x)) for i, d in enumerate(target)
    ):
        raise ValueError(
            f"{op}: shape is sizes > 0, 0 for an axis of the input, at most one -1, "
            f"got {list(target)} for {list(x)}"
        )
    result = [x[i] if d == 0 else d for i, d in enumerate(target)]
    total = math.prod(sizes(x))
    if -1 in result:
        rest = math.prod(sizes(tuple(d for d in result if d != -1)))
        if rest == 0 or total % rest:
            raise ValueError(f"{op}: -1 in {list(target)} has no size for {list(x)}")
        result[result.index(-1)] = total // rest
    if result.count("T") != x.count("T"):
        raise ValueError(f"{op}: T is copied with 0 or stays out, got {list(target)} for {list(x)}")
    if math.prod(sizes(tuple(result))) != total:
        raise ValueError(f"{op}: {list(x)} and {list(target)} have different numbers of elements")
    return (tuple(result),)


def flatten(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return (N, K)."""
    if not shapes[0]:
        raise ValueError(f"{op}: x has at least one axis, got []")
    return ((shapes[0][0], math.prod(fixed(op, "the product over", shapes[0][1:]))),)


def transpose(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape with its axes in the order ``perm``."""
    x = shapes[0]
    perm = ints(attributes, "perm")
    perm = tuple(reversed(range(len(x)))) if perm is None else perm
    if sorted(perm) != list(range(len(x))):
        raise ValueError(f"{op}: perm is a permutation of {len(x)} axes, got {list(perm)}")
    return (tuple(x[axis] for axis in perm),)


def concat(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of the joined inputs."""
    axis = axis_of(op, shapes[0], integer(attributes, "axis", 0))
    for shape in shapes[1:]:
        same = len(shape) == len(shapes[0]) and all(
            a == b for i, (a, b) in enumerate(zip(shape, shapes[0], strict=True)) if i != axis
        )
        if not same:
            raise ValueError(
                f"{op}: shapes are equal but for axis {axis}, got {[list(s) for s in shapes]}"
            )
    length = sum(fixed(op, "the axis of", tuple(shape[axis] for shape in shapes)))
    return ((*shapes[0][:axis], length, *shapes[0][axis + 1 :]),)


def pad(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the enlarged shape."""
    x, pads = shapes[0], ints(attributes, "pads") or ()
    if len(pads) != 2 * len(x) or any(pad < 0 for pad in pads):
        raise ValueError(f"{op}: pads are {2 * len(x)} integers >= 0, got {list(pads)}")
    added = [begin + end for begin, end in zip(pads[: len(x)], pads[len(x) :], strict=True)]
    for d, a in zip(x, added, strict=True):
        if a and isinstance(d, str):
            what = "batch" if d == "N" else "length"
            raise ValueError(f"{op}: the {what} {d} cannot be padded, got pads {list(pads)}")
    return (tuple(d if isinstance(d, str) else d + a for d, a in zip(x, added, strict=True)),)


def slice_axes(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of the part."""
    x, result = shapes[0], list(shapes[0])
    starts, ends = ints(attributes, "starts") or (), ints(attributes, "ends") or ()
    axes = _axes(op, ints(attributes, "axes") or (), x)
    if not len(starts) == len(ends) == len(axes):
        raise ValueError(f"{op}: starts, ends and axes are as many, got {dict(attributes)}")
    for axis, start, end in zip(axes, starts, ends, strict=True):
        (size,) = fixed(op, "the axis of", x[axis : axis + 1])
        result[axis] = len(range(size)[start:end])
    return (tuple(result),)


def unsqueeze(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape with axes of length 1 more."""
    axes = ints(attributes, "axes") or ()
    rank = len(shapes[0]) + len(axes)
    if rank > 6:
        raise ValueError(f"{op}: a shape has at most 6 axes, got {rank}")
    places = _axes(op, axes, (1,) * rank)
    rest = iter(shapes[0])
    return (tuple(1 if i in places else next(rest) for i in range(rank)),)


def squeeze(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape without some axes of length 1."""
    places = _axes(op, ints(attributes, "axes") or (), shapes[0])
    if any(shapes[0][axis] != 1 for axis in places):
        raise ValueError(f"{op}: axes have length 1, got {list(places)} of {list(shapes[0])}")
    return (tuple(d for i, d in enumerate(shapes[0]) if i not in places),)


def _axes(op: str, axes: tuple[int, ...], shape: Shape) -> list[int]:
    places = [axis_of(op, shape, axis) for axis in axes]
    if len(set(places)) != len(places):
        raise ValueError(f"{op}: axes are different, got {list(axes)} of {len(shape)}")
    return places


def fake_quantize(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    """Return the shape of the input; a scale is one number, and a sample's own (section 8)."""
    if len(shapes) == 2:
        need(op, "the scale (input 1)", shapes[1], ())
    if attributes["granularity"] != "tensor":
        axis = axis_of(op, shapes[0], integer(attributes, "axis", -1))
        within(op, "the axis that shares a scale", shapes[0][axis : axis + 1])
    return (shapes[0],)
