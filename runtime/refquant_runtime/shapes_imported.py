"""Shapes of the operators of imported models: ``docs/spec/operators.md``, section 10."""

from collections.abc import Mapping, Sequence

from refquant_runtime.rules import Attributes, Kind, Operator, Shape, need
from refquant_runtime.shapes_movement import axis_of, broadcast, integers, shape_of
from refquant_runtime.shapes_sequence import reduced

__all__ = ["COMPARE", "IMPORTED", "transposed_pads"]

Shapes = Sequence[Shape | None]
COMPARE = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or")
_ROUNDING = ("Floor", "Ceil", "Round", "Sign")


def _joined(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    return [broadcast([shape_of(inputs, i) for i in range(len(inputs))])]


def _same(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    return [shape_of(inputs, 0)]


def _place(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    axis = axis_of(attributes, len(x), 0)
    need(x[axis] > 0, f"axis {axis} of {list(x)} is empty")
    kept = (1,) if attributes.get("keepdims", 1) else ()
    return [(*x[:axis], *kept, *x[axis + 1 :])]


def _top_k(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    x, k = shape_of(inputs, 0), attributes.get("k", 0)
    axis = axis_of(attributes, len(x), -1)
    need(1 <= k <= x[axis], f"k is in [1, {x[axis]}], got {k}")
    return [(*x[:axis], k, *x[axis + 1 :])] * 2


def _resize(inputs: Shapes, attributes: Attributes) -> list[Shape]:
    x, *sizes = (shape_of(inputs, i) for i in range(3))
    fits = len(x) == 4 and all(len(shape) == 2 and shape[1] == 3 for shape in sizes)
    need(fits, f"needs (N, C, H, W) and places (size, 3), got {[list(x), *map(list, sizes)]}")
    need({"bits", "rounding"} <= attributes.keys(), "needs the attributes bits and rounding")
    return [(*x[:2], sizes[0][0], sizes[1][0])]


def transposed_pads(w: Shape, attributes: Attributes) -> tuple[list[int], list[int], list[int]]:
    """Return strides, dilations, and the padding of the ``Conv`` that a ``ConvTranspose`` is.

    >>> transposed_pads((1, 1, 3), {"pads": [1, 1], "output_padding": [1]})
    ([1], [1], [1, 2])
    """
    rank = len(w) - 2
    strides = integers(attributes, "strides", [1] * rank, 1)
    dilations = integers(attributes, "dilations", [1] * rank, 1)
    pads = integers(attributes, "pads", [0] * (2 * rank), 0)
    extra = integers(attributes, "output_padding", [0] * rank, 0)
    reach = [d * (k - 1) for d, k in zip(dilations, w[2:], strict=True)]
    begins = [r - p for r, p in zip(reach, pads[:rank], strict=True)]
    ends = [r - p + e for r, p, e in zip(reach, pads[rank:], extra, strict=True)]
    need(min(begins + ends) >= 0, f"pads are at most dilations * (kernel - 1) = {reach}")
    return strides, dilations, begins + ends


def _conv_transpose(inputs: Shapes, attributes: Attributes, at: int) -> list[Shape]:
    """Return the shape of the result; ``at`` is where the bias stands."""
    x, w = shape_of(inputs, 0), shape_of(inputs, 1)
    need(len(x) in (3, 4) and len(w) == len(x), f"weights {list(w)} do not fit input {list(x)}")
    group = attributes.get("group", 1)
    need(x[1] == w[0] and group >= 1, f"weights {list(w)} do not fit input {list(x)}")
    need(0 not in w and w[0] % group == 0, f"group {group} divides {w[0]} channels")
    given = attributes.get("kernel_shape", list(w[2:]))
    need(given == list(w[2:]), f"kernel_shape {given!r:.60} is not that of {list(w)}")
    need(all(size >= 1 for size in x[2:]), f"needs a pixel on every axis, got shape {list(x)}")
    strides, dilations, pads = transposed_pads(w, attributes)
    rank, out = len(w) - 2, []
    for i in range(rank):
        stuffed = strides[i] * (x[2 + i] - 1) + 1 + pads[i] + pads[i + rank]
        reach = dilations[i] * (w[2 + i] - 1) + 1
        need(stuffed >= reach, f"the result has no pixel: {list(x)}, weights {list(w)}")
        out.append(stuffed - reach + 1)
    bias = inputs[at] if len(inputs) > at else None
    need(bias in (None, (w[1] * group,)), f"bias {bias} is not ({w[1] * group},)")
    return [(x[0], w[1] * group, *out)]


_EXTREME: Mapping[str, Kind] = {"axes": "ints", "keepdims": (0, 1)}
_PLACE: Mapping[str, Kind] = {"axis": "int", "keepdims": (0, 1), "select_last_index": (0, 1)}
_WINDOW: Mapping[str, Kind] = {
    **dict.fromkeys(("kernel_shape", "strides", "pads", "dilations", "output_padding"), "ints"),
    "group": "int",
}
IMPORTED: Mapping[str, Operator] = {
    **dict.fromkeys(COMPARE, Operator(2, 2, {}, _joined)),
    "Not": Operator(1, 1, {}, _same),
    "Where": Operator(3, 3, {}, _joined),
    **dict.fromkeys(("Max", "Min"), Operator(2, 2, {}, _joined)),
    **dict.fromkeys(_ROUNDING, Operator(1, 1, {}, _same)),
    **dict.fromkeys(
        ("ReduceMax", "ReduceMin"), Operator(1, 1, _EXTREME, lambda i, a: reduced(i, a, False))
    ),
    **dict.fromkeys(("ArgMax", "ArgMin"), Operator(1, 1, _PLACE, _place)),
    "ResizeLinear": Operator(3, 3, {"bits": "int", "rounding": ("half_up", "half_away")}, _resize),
    "L2Normalization": Operator(1, 1, {}, _same),
    "TopK": Operator(1, 1, {"k": "int", "axis": "int", "largest": (0, 1)}, _top_k),
    "ConvTranspose": Operator(
        2,
        3,
        {**_WINDOW, "clamp_min": "int", "clamp_max": "int"},
        lambda i, a: _conv_transpose(i, a, 2),
    ),
    "ConvTransposeIntegerToFloat": Operator(4, 5, _WINDOW, lambda i, a: _conv_transpose(i, a, 4)),
}
