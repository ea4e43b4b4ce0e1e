"""The operators of docs/spec/operators.md, section 10: of models that come from elsewhere.

Table, shapes and dtypes in one place; what they compute is in `refquant.ops.logic`,
`refquant.ops.extremes`, `refquant.ops.conv_transpose` and `refquant.ops.gather`.
"""

from collections.abc import Callable, Mapping, Sequence

from refquant.model.graph import Shape, Value
from refquant.model.operator import Kind, Operator
from refquant.model.shapes_common import (
    Attributes,
    axis_of,
    fixed,
    integer,
    ints,
    joined,
    need,
    within,
)
from refquant.ops.conv_transpose import transposed_pads
from refquant.ops.windows import plan_window

__all__ = ["DTYPES_OF", "IMPORTED", "SHAPES", "dtypes"]

Shapes = Sequence[Shape]

_COMPARE = ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or")
_EXTREME = ("ReduceMax", "ReduceMin")
_PLACES = ("ArgMax", "ArgMin")
_AXES = frozenset({"axes"})
_WINDOW: Mapping[str, Kind] = {
    **{"kernel_shape": "ints", "strides": "ints", "pads": "ints", "dilations": "ints"},
    **{"group": "int", "output_padding": "ints"},
}

_RESIZE: Mapping[str, Kind] = {"bits": "int", "rounding": ("half_up", "half_away")}

IMPORTED: Mapping[str, Operator] = {
    **dict.fromkeys(_COMPARE, Operator(2, 2)),
    "Not": Operator(1, 1),
    "Where": Operator(3, 3),
    "Max": Operator(2, 2),
    "Min": Operator(2, 2),
    **dict.fromkeys(("Floor", "Ceil", "Round", "Sign"), Operator(1, 1)),
    **dict.fromkeys(
        _EXTREME, Operator(1, 1, attributes={"axes": "ints", "keepdims": (0, 1)}, required=_AXES)
    ),
    **dict.fromkeys(
        _PLACES,
        Operator(1, 1, attributes={"axis": "int", "keepdims": (0, 1), "select_last_index": (0, 1)}),
    ),
    "TopK": Operator(
        1,
        1,
        outputs=2,
        attributes={"k": "int", "axis": "int", "largest": (0, 1)},
        required=frozenset({"k"}),
    ),
    "ConvTranspose": Operator(2, 3, attributes=_WINDOW, fused=True),
    "ResizeLinear": Operator(3, 3, attributes=_RESIZE, required=frozenset(_RESIZE)),
    "L2Normalization": Operator(1, 1),
}


def _compared(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    result = shapes[0]
    for shape in shapes[1:]:
        result = joined(op, result, shape)
    return (result,)


def _place(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    x = shapes[0]
    axis = axis_of(op, x, integer(attributes, "axis", 0))
    if 0 in within(op, "the search over", x[axis : axis + 1]):
        raise ValueError(f"{op}: axis {axis} of {list(x)} is empty")
    kept = (1,) if integer(attributes, "keepdims", 1) else ()
    return ((*x[:axis], *kept, *x[axis + 1 :]),)


def _extreme(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    x = shapes[0]
    places = [axis_of(op, x, axis) for axis in ints(attributes, "axes") or ()]
    if not places or len(set(places)) != len(places):
        raise ValueError(f"{op}: axes are different, at least one, got {attributes['axes']}")
    if 0 in within(op, "the search over", tuple(x[axis] for axis in places)):
        raise ValueError(f"{op}: nothing has no extreme: {list(x)} along {places}")
    keep = integer(attributes, "keepdims", 1)
    return (tuple(1 if i in places else d for i, d in enumerate(x) if keep or i not in places),)


def _top_k(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    x, k = shapes[0], integer(attributes, "k", 0)
    axis = axis_of(op, x, integer(attributes, "axis", -1))
    (length,) = fixed(op, "the search over", x[axis : axis + 1])
    if not 1 <= k <= length:
        raise ValueError(f"{op}: k is in [1, {length}], got {k}")
    return ((*x[:axis], k, *x[axis + 1 :]),) * 2


def _conv_transpose(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    x, group = shapes[0], integer(attributes, "group", 1)
    w = fixed(op, "w", shapes[1])
    if len(x) not in (3, 4) or len(w) != len(x) or fixed(op, "the channels", x[1:2]) != w[:1]:
        raise ValueError(
            f"{op}: x is (N, C, L) or (N, C, H, W) and w (C, M/group, kernel), "
            f"got {list(x)} and {list(w)}"
        )
    if group < 1 or 0 in w or w[0] % group:
        raise ValueError(f"{op}: group divides the channels, got {group} for {w[0]}")
    kernel, steps = ints(attributes, "kernel_shape"), ints(attributes, "strides")
    need(op, "kernel_shape", w[2:] if kernel is None else kernel, w[2:])
    apart, pads = ints(attributes, "dilations"), ints(attributes, "pads")
    rank = len(w) - 2
    for name, given, count in (
        ("strides", steps, rank),
        ("dilations", apart, rank),
        ("pads", pads, 2 * rank),
        ("output_padding", ints(attributes, "output_padding"), rank),
    ):
        least = 1 if name in ("strides", "dilations") else 0
        if given is not None and (len(given) != count or min(given) < least):
            raise ValueError(f"{op}: {name} is {count} integers >= {least}, got {list(given)}")
    space = fixed(op, "the window over", x[2:])
    stuffed = tuple(s * (n - 1) + 1 for s, n in zip(steps or (1,) * rank, space, strict=True))
    around = transposed_pads(w[2:], pads, apart, ints(attributes, "output_padding"))
    window = plan_window(op, stuffed, kernel=w[2:], strides=None, pads=around, dilations=apart)
    if len(shapes) == 3:
        need(op, "the bias", shapes[2], (w[1] * group,))
    return ((x[0], w[1] * group, *window.output),)


def _resize(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    x, *sizes = shapes
    if len(x) != 4 or any(len(shape) != 2 or shape[1] != 3 for shape in sizes):
        raise ValueError(
            f"{op}: x is (N, C, H, W), rows and columns are (size, 3), got "
            f"{[list(shape) for shape in shapes]}"
        )
    return ((*x[:2], sizes[0][0], sizes[1][0]),)


def _same(op: str, shapes: Shapes, attributes: Attributes) -> tuple[Shape, ...]:
    return (shapes[0],)


SHAPES: Mapping[str, Callable[[str, Shapes, Attributes], tuple[Shape, ...]]] = {
    **dict.fromkeys((*_COMPARE, "Where", "Max", "Min"), _compared),
    **dict.fromkeys(("Not", "Floor", "Ceil", "Round", "Sign", "L2Normalization"), _same),
    **dict.fromkeys(_EXTREME, _extreme),
    **dict.fromkeys(_PLACES, _place),
    "TopK": _top_k,
    "ConvTranspose": _conv_transpose,
    "ResizeLinear": _resize,
}

_ANY = ("float32", "int32", "uint8")
DTYPES_OF: Mapping[str, tuple[tuple[str, ...], ...]] = {
    **dict.fromkeys(_COMPARE[:-2], (_ANY, _ANY)),
    **dict.fromkeys(("And", "Or", "Not"), (("uint8",), ("uint8",))),
    "Where": (("uint8",), _ANY, _ANY),
    "Cast": (_ANY,),
    "Gather": (_ANY, ("int32",)),
}
"""The dtypes of operands that need not be float32; all of `_ANY` of one node are equal."""


def dtypes(op: str, operands: Sequence[Value], to: int) -> tuple[str, ...]:
    """Return the dtypes of the outputs of a node of section 10, or of ``Cast``, ``Gather``.

    >>> dtypes("Less", [Value("float32", ()), Value("float32", ())], 0)
    ('uint8',)
    """
    if op in (*_COMPARE, "Not"):
        return ("uint8",)
    if op == "Cast":
        return ({1: "float32", 6: "int32", 9: "uint8"}[to],)
    if op in _PLACES:
        return ("int32",)
    if op == "TopK":
        return ("float32", "int32")
    if op == "Where":
        return (operands[1].dtype,)
    if op == "Gather":  # a table of codes is a weight
        return ("float32" if operands[0].quant is not None else operands[0].dtype,)
    return ("float32",)
