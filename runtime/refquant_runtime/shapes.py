"""What each operator takes: number of inputs, attributes, and the shape of its outputs.

Follows ``docs/spec/operators.md``. A rule that is broken raises ``ValueError`` with the rule; the
caller (:mod:`refquant_runtime.check`) adds the file and the node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from refquant_runtime.rules import Attributes, Kind, Operator, Shape, need
from refquant_runtime.shapes_imported import IMPORTED
from refquant_runtime.shapes_movement import (
    axis_of,
    broadcast,
    concat,
    flatten,
    integers,
    pad,
    reshape,
    shape_of,
    transpose,
)
from refquant_runtime.shapes_sequence import SEQUENCE

__all__ = ["OPERATORS", "VERSION_2", "Operator", "Shape", "Window", "window"]


@dataclass(frozen=True)
class Window:
    """A 2-D window; a 1-D one has height 1."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]  # top, left, bottom, right
    dilations: tuple[int, int]
    image: tuple[int, int]
    out: tuple[int, int]


def window(x: Shape, kernel: Sequence[int], attributes: Attributes) -> Window:
    """Return the window of a convolution or pool over ``x`` (N, C, spatial...)."""
    rank = len(kernel)
    need(rank in (1, 2) and len(x) == rank + 2, f"needs rank 3 or 4 input, got shape {list(x)}")
    need(all(k >= 1 for k in kernel), f"kernel {list(kernel)} has a size below 1")
    need(all(size >= 1 for size in x[2:]), f"needs a pixel on every axis, got shape {list(x)}")
    strides = integers(attributes, "strides", [1] * rank, 1)
    dilations = integers(attributes, "dilations", [1] * rank, 1)
    pads = integers(attributes, "pads", [0] * (2 * rank), 0)
    given = attributes.get("kernel_shape", list(kernel))
    need(given == list(kernel), f"kernel_shape {given!r} is not that of the weights {list(kernel)}")
    out = []
    for d in range(rank):
        padded = x[2 + d] + pads[d] + pads[d + rank]
        reach = dilations[d] * (kernel[d] - 1) + 1
        need(padded >= reach, f"window of {reach} is larger than the padded input {padded}")
        out.append((padded - reach) // strides[d] + 1)
    if rank == 1:
        return Window(
            (1, kernel[0]), (1, strides[0]), (0, pads[0], 0, pads[1]), (1, dilations[0]),
            (1, x[2]), (1, out[0]),
        )  # fmt: skip
    return Window(
        (kernel[0], kernel[1]), (strides[0], strides[1]), (pads[0], pads[1], pads[2], pads[3]),
        (dilations[0], dilations[1]), (x[2], x[3]), (out[0], out[1]),
    )  # fmt: skip


def _spatial(w: Window, rank: int) -> Shape:
    return w.out if rank == 4 else w.out[1:]


def _conv(inputs: Sequence[Shape | None], attributes: Attributes, bias: int | None) -> list[Shape]:
    x, w = shape_of(inputs, 0), shape_of(inputs, 1)
    group = attributes.get("group", 1)
    need(group >= 1, f"group must be at least 1, got {group}")
    need(len(w) == len(x) >= 3, f"weights {list(w)} do not fit input {list(x)}")
    need(x[1] == w[1] * group, f"{x[1]} channels are not {group} groups of {w[1]}")
    need(w[0] % group == 0 and w[0] > 0, f"{w[0]} outputs are not a multiple of group {group}")
    need(w[1] > 0, "weights have no input channel")
    if bias is not None and bias < len(inputs) and inputs[bias] is not None:
        need(inputs[bias] == (w[0],), f"bias {inputs[bias]} is not ({w[0]},)")
    return [(x[0], w[0], *_spatial(window(x, w[2:], attributes), len(x)))]


def _matmul(inputs: Sequence[Shape | None], bias: int | None) -> list[Shape]:
    a, b = shape_of(inputs, 0), shape_of(inputs, 1)
    need(len(a) >= 2 and len(b) >= 2, f"needs ranks of 2 or more, got {list(a)} and {list(b)}")
    need(a[-1] == b[-2], f"{list(a)} times {list(b)}: {a[-1]} is not {b[-2]}")
    need(b[-1] > 0 and b[-2] > 0, f"weights {list(b)} are empty")
    if bias is not None and bias < len(inputs) and inputs[bias] is not None:
        need(inputs[bias] == (b[-1],), f"bias {inputs[bias]} is not ({b[-1]},)")
    return [(*broadcast([a[:-2], b[:-2]]), a[-2], b[-1])]


def _gemm(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    a, b = shape_of(inputs, 0), shape_of(inputs, 1)
    need(len(a) == 2 and len(b) == 2, f"needs matrices, got {list(a)} and {list(b)}")
    return _matmul([a, b[::-1] if attributes.get("transB", 0) else b, *inputs[2:]], 2)


def _pool(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    need("kernel_shape" in attributes, "needs the attribute kernel_shape")
    need(set(attributes.get("dilations", [1])) == {1}, "dilations of a pool are 1")
    w = window(x, attributes["kernel_shape"], attributes)
    need(x[1] > 0, f"pools no channel: {list(x)}")
    for d in range(2):
        before, after = w.pads[d], w.pads[d + 2]
        need(max(before, after) < w.kernel[d], "padding is not smaller than the kernel")
    return [(x[0], x[1], *_spatial(w, len(x)))]


def _global_pool(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    need(len(x) in (3, 4), f"needs rank 3 or 4, got {list(x)}")
    need(all(size > 0 for size in x[1:]), f"pools nothing: {list(x)}")
    return [(x[0], x[1], *(1 for _ in x[2:]))]


def _softmax(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    need(x[axis_of(attributes, len(x), -1)] > 0, f"sums an empty axis of {list(x)}")
    table = inputs[1] if len(inputs) > 1 else None
    need(table in (None, (256,), (65536,)), f"its table has shape (256,), got {table}")
    return [x]


def _unary(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    table = inputs[1] if len(inputs) > 1 else None
    need(table in (None, (256,), (65536,)), f"its table has shape (256,), got {table}")
    return [shape_of(inputs, 0)]


def _batch_norm(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    need(len(x) >= 2 and x[1] > 0, f"x is (N, C, ...) with C >= 1, got {list(x)}")
    need(attributes.get("epsilon", 1e-5) >= 0, f"epsilon is >= 0, got {attributes.get('epsilon')}")
    for index in range(1, 5):
        need(inputs[index] == (x[1],), f"input {index} is ({x[1]},), got {inputs[index]}")
    return [x]


def _same(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    return [shape_of(inputs, 0)]


def _dynamic(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    return [shape_of(inputs, 0), (), ()]


def _binary(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    return [broadcast([shape_of(inputs, 0), shape_of(inputs, 1)])]


_Kinds = Mapping[str, Kind]
_CLAMP: _Kinds = {"clamp_min": "int", "clamp_max": "int"}
_WINDOW: _Kinds = dict.fromkeys(("kernel_shape", "strides", "pads", "dilations"), "ints")
_CONV: _Kinds = {**_WINDOW, "group": "int"}
_POOL: _Kinds = {**_WINDOW, "ceil_mode": (0,)}
_GEMM: _Kinds = {"alpha": (1,), "beta": (1,), "transA": (0,), "transB": (0, 1), **_CLAMP}
_UNARY: Mapping[str, _Kinds] = {
    **{op: {} for op in ("Relu", "Abs", "Neg", "Sqrt", "Exp", "Log", "Sigmoid", "Tanh", "Erf")},
    **{op: {} for op in ("Swish", "Softplus", "HardSwish", "Requantize")},
    "Gelu": {"approximate": ("none", "tanh")},
    **{op: {"alpha": "float"} for op in ("LeakyRelu", "Elu")},
    "Clip": {"min": "float", "max": "float", **_CLAMP},
    "HardSigmoid": {"alpha": "float", "beta": "float"},
}
VERSION_2 = frozenset({"ConvDynamicRange", "MatMulDynamicRange", *SEQUENCE, *IMPORTED})
OPERATORS: Mapping[str, Operator] = {
    **SEQUENCE,
    **IMPORTED,
    "Conv": Operator(2, 3, {**_CONV, **_CLAMP}, lambda i, a: _conv(i, a, 2)),
    "ConvInteger": Operator(2, 4, _CONV, lambda i, a: _conv(i, a, None)),
    "ConvIntegerToFloat": Operator(4, 5, _CONV, lambda i, a: _conv(i, a, 4)),
    "ConvDynamicRange": Operator(3, 3, {**_CONV, "symmetric": (0, 1)}, lambda i, a: _conv(i, a, 2)),
    "Gemm": Operator(2, 3, _GEMM, _gemm),
    "MatMul": Operator(2, 3, _CLAMP, lambda i, a: _matmul(i, 2)),
    "MatMulDynamicRange": Operator(3, 3, {"symmetric": (0, 1)}, lambda i, a: _matmul(i, 2)),
    "MatMulInteger": Operator(2, 4, {}, lambda i, a: _matmul(i, None)),
    "MatMulIntegerToFloat": Operator(4, 5, {}, lambda i, a: _matmul(i, 4)),
    "Add": Operator(2, 2, _CLAMP, _binary),
    "Mul": Operator(2, 2, _CLAMP, _binary),
    "Sub": Operator(2, 2, {}, _binary),
    "Div": Operator(2, 2, {}, _binary),
    "MaxPool": Operator(1, 1, _POOL, _pool),
    "AveragePool": Operator(1, 1, {**_POOL, **_CLAMP, "count_include_pad": (0, 1)}, _pool),
    "GlobalAveragePool": Operator(1, 1, _CLAMP, _global_pool),
    "GlobalMaxPool": Operator(1, 1, {}, _global_pool),
    "Reshape": Operator(1, 1, {"shape": "ints"}, reshape),
    "Flatten": Operator(1, 1, {"axis": (1,)}, flatten),
    "Transpose": Operator(1, 1, {"perm": "ints"}, transpose),
    "Concat": Operator(1, 2**31, {"axis": "int"}, concat),
    "Pad": Operator(1, 1, {"pads": "ints", "value": "float", "mode": ("constant",)}, pad),
    "Identity": Operator(1, 1, {}, _same),
    "Softmax": Operator(1, 2, {"axis": "int"}, _softmax),
    "BatchNormalization": Operator(5, 5, {"epsilon": "float"}, _batch_norm),
    "QuantizeLinear": Operator(1, 1, {}, _same),
    "DequantizeLinear": Operator(1, 1, {}, _same),
    "DynamicQuantizeLinear": Operator(1, 1, {}, _dynamic),
    **{op: Operator(1, 2, kinds, _unary) for op, kinds in _UNARY.items()},
}
