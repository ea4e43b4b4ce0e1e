"""What each operator takes: number of inputs, attributes, and the shape of its outputs.

Follows ``docs/spec/operators.md``. A rule that is broken raises ``ValueError`` with the rule; the
caller (:mod:`refquant_runtime.check`) adds the file and the node.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refquant_runtime.shapes_movement import (
    axis_of,
    concat,
    flatten,
    integers,
    need,
    pad,
    reshape,
    shape_of,
    transpose,
)

__all__ = ["OPERATORS", "Operator", "Shape", "Window", "window"]

Shape = tuple[int, ...]
Attributes = Mapping[str, Any]


@dataclass(frozen=True)
class Operator:
    """How many inputs (required, at most), which attributes, and how shapes follow."""

    required: int
    most: int
    attributes: frozenset[str]
    shapes: Callable[[Sequence[Shape | None], Attributes], list[Shape]]


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
    need(type(group) is int and group >= 1, f"group must be an integer >= 1, got {group!r}")
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
    return [(*_broadcast([a[:-2], b[:-2]]), a[-2], b[-1])]


def _gemm(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    a, b = shape_of(inputs, 0), shape_of(inputs, 1)
    for key, value in (("alpha", 1), ("beta", 1), ("transA", 0)):
        need(attributes.get(key, value) == value, f"attribute {key} must be {value}")
    need(attributes.get("transB", 0) in (0, 1), "attribute transB must be 0 or 1")
    need(len(a) == 2 and len(b) == 2, f"needs matrices, got {list(a)} and {list(b)}")
    return _matmul([a, b[::-1] if attributes.get("transB", 0) else b, *inputs[2:]], 2)


def _broadcast(shapes: Sequence[Shape]) -> Shape:
    rank = max(len(shape) for shape in shapes)
    full = [(1,) * (rank - len(shape)) + shape for shape in shapes]
    result = []
    for sizes in zip(*full, strict=True):
        others = {size for size in sizes if size != 1}
        need(len(others) <= 1, f"shapes {[list(s) for s in shapes]} do not broadcast")
        result.append(others.pop() if others else 1)
    return tuple(result)


def _pool(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    need(attributes.get("ceil_mode", 0) == 0, "attribute ceil_mode must be 0")
    kernel = attributes.get("kernel_shape")
    need(isinstance(kernel, list) and all(type(k) is int for k in kernel), "needs kernel_shape")
    assert isinstance(kernel, list)
    w = window(x, kernel, attributes)
    for d in range(2):
        before, after = w.pads[d], w.pads[d + 2]
        need(max(before, after) < w.kernel[d], "padding is not smaller than the kernel")
    return [(x[0], x[1], *_spatial(w, len(x)))]


def _global_pool(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    need(len(x) in (3, 4), f"needs rank 3 or 4, got {list(x)}")
    need(all(size > 0 for size in x[2:]), f"pools an empty plane {list(x)}")
    return [(x[0], x[1], *(1 for _ in x[2:]))]


def _softmax(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    x = shape_of(inputs, 0)
    axis_of(attributes, len(x), -1)
    return [x]


def _same(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    return [shape_of(inputs, 0)]


def _dynamic(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    return [shape_of(inputs, 0), (), ()]


def _binary(inputs: Sequence[Shape | None], attributes: Attributes) -> list[Shape]:
    return [_broadcast([shape_of(inputs, 0), shape_of(inputs, 1)])]


_CLAMP = {"clamp_min", "clamp_max"}
_WINDOW = {"kernel_shape", "strides", "pads", "dilations"}


def _operator(required: int, most: int, attributes: set[str], shapes: Any) -> Operator:
    return Operator(required, most, frozenset(attributes), shapes)


_UNARY = _operator(1, 2, set(), _same)
OPERATORS: Mapping[str, Operator] = {
    "Conv": _operator(2, 3, _WINDOW | _CLAMP | {"group"}, lambda i, a: _conv(i, a, 2)),
    "ConvInteger": _operator(2, 4, _WINDOW | {"group"}, lambda i, a: _conv(i, a, None)),
    "ConvIntegerToFloat": _operator(4, 5, _WINDOW | {"group"}, lambda i, a: _conv(i, a, 4)),
    "Gemm": _operator(2, 3, {"alpha", "beta", "transA", "transB"} | _CLAMP, _gemm),
    "MatMul": _operator(2, 3, _CLAMP, lambda i, a: _matmul(i, 2)),
    "MatMulInteger": _operator(2, 4, set(), lambda i, a: _matmul(i, None)),
    "MatMulIntegerToFloat": _operator(4, 5, set(), lambda i, a: _matmul(i, 4)),
    "Add": _operator(2, 2, _CLAMP, _binary),
    "Mul": _operator(2, 2, _CLAMP, _binary),
    "Sub": _operator(2, 2, set(), _binary),
    "Div": _operator(2, 2, set(), _binary),
    "MaxPool": _operator(1, 1, _WINDOW | {"ceil_mode"}, _pool),
    "AveragePool": _operator(1, 1, _WINDOW | {"ceil_mode", "count_include_pad"}, _pool),
    "GlobalAveragePool": _operator(1, 1, set(), _global_pool),
    "GlobalMaxPool": _operator(1, 1, set(), _global_pool),
    "Reshape": _operator(1, 1, {"shape"}, reshape),
    "Flatten": _operator(1, 1, {"axis"}, flatten),
    "Transpose": _operator(1, 1, {"perm"}, transpose),
    "Concat": _operator(1, 2**16, {"axis"}, concat),
    "Pad": _operator(1, 1, {"pads", "value", "mode"}, pad),
    "Identity": _operator(1, 1, set(), _same),
    "Softmax": _operator(1, 1, {"axis"}, _softmax),
    "QuantizeLinear": _operator(1, 1, set(), _same),
    "DequantizeLinear": _operator(1, 1, set(), _same),
    "DynamicQuantizeLinear": _operator(1, 1, set(), _dynamic),
    "Relu": _UNARY,
    "Clip": _operator(1, 2, {"min", "max"} | _CLAMP, _same),
    "LeakyRelu": _operator(1, 2, {"alpha"}, _same),
    "Elu": _operator(1, 2, {"alpha"}, _same),
    "HardSigmoid": _operator(1, 2, {"alpha", "beta"}, _same),
    "Requantize": _operator(2, 2, set(), _same),
    **{
        name: _UNARY
        for name in (
            "Abs",
            "Neg",
            "Sqrt",
            "Exp",
            "Log",
            "Sigmoid",
            "Tanh",
            "Erf",
            "Gelu",
            "Swish",
            "Softplus",
            "HardSwish",
        )
    },
}
