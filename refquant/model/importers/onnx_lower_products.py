"""Products, reductions, Softmax: what sums.

Left out: Einsum, products of integers that are no codes, Attention with caches.
"""

import math
from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.graph import Attribute
from refquant.model.importers.onnx_lower_windows import weight
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Known, Scope, Seen, Unsupported
from refquant.model.importers.onnx_sizes import axis_in

__all__ = ["PRODUCTS", "set_weighted"]

Lower = Callable[[Scope, OnnxNode], None]


def set_weighted(s: Scope, node: OnnxNode, op: str, inputs: list[str], output: str) -> str:
    """Add a product whose weight (input 1) may be of codes; return its output."""
    coded = s.b.values[inputs[1]].quant is not None
    attributes: dict[str, Attribute] = {"transB": 1} if op == "GemmT" else {}
    contract = s.contract if coded else None
    return s.node(op.removesuffix("T"), inputs, output, attributes, contract=contract)


def _matmul(s: Scope, node: OnnxNode) -> None:
    """Vectors become matrices of one row or column, and back."""
    ranks = [len(s.shape(name)) for name in node.inputs]
    x, w = s.real(node, 0), weight(s, node, 1)
    if ranks == [1, 1] or 1 in ranks:
        if ranks[0] == 1:
            x = s.step(node, "Unsqueeze", [x], {"axes": (0,)})
        if ranks[1] == 1:
            w = s.step(node, "Unsqueeze", [s.real(node, 1)], {"axes": (1,)})
        product = s.step(node, "MatMul", [x, w])
        gone = [axis for axis, rank in ((-2, ranks[0]), (-1, ranks[1])) if rank == 1]
        s.emit(node, "Squeeze", [product], {"axes": tuple(gone)})
        return
    made = set_weighted(s, node, "MatMul", [x, w], node.outputs[0])
    s.items[node.outputs[0]] = Seen(made, "float32")


def _scaled(s: Scope, node: OnnxNode, value: str, factor: float, what: str) -> str:
    if factor == 1.0:
        return value
    number = s.constant(f"{node.label}/{what}", np.asarray(factor, np.float32))
    return s.node("Mul", [value, number], f"{node.outputs[0]}/{what}/mul")


def _gemm(s: Scope, node: OnnxNode) -> None:
    """Alpha A B + beta C: what is not 1 becomes a factor, of constants at import."""
    a = node.attributes
    alpha, beta = float(a.get("alpha", 1.0)), float(a.get("beta", 1.0))
    x, item = s.real(node, 0), s.item(node.inputs[1])
    if a.get("transA", 0):
        x = s.step(node, "Transpose", [x], {"perm": (1, 0)})
    if isinstance(item, Known) and alpha != 1.0:
        scaled = (item.array * np.float32(alpha)).astype(np.float32)
        w, alpha = s.constant(f"{node.inputs[1]}/alpha", scaled), 1.0
    else:
        w = weight(s, node, 1)
    columns = s.shape(node.inputs[1])[0 if a.get("transB", 0) else 1]
    op = "GemmT" if a.get("transB", 0) else "Gemm"
    if not s.has(node, 2) or beta == 0.0:
        product = set_weighted(s, node, op, [x, w], f"{node.outputs[0]}")
        made = _scaled(s, node, product, alpha, "alpha")
        s.items[node.outputs[0]] = Seen(made, "float32")
        return
    c, shape = s.item(node.inputs[2]), s.shape(node.inputs[2])
    flat = isinstance(c, Known) and (len(shape) < 2 or shape[0] == 1)
    if flat and isinstance(c, Known) and alpha == 1.0:
        row = np.broadcast_to(c.array.ravel(), (int(columns),)).astype(np.float32)
        same = beta == 1.0 and c.array.shape == row.shape
        name = node.inputs[2] if same else f"{node.inputs[2]}/row"
        bias = s.constant(name, row if beta == 1.0 else row * np.float32(beta))
        made = set_weighted(s, node, op, [x, w, bias], node.outputs[0])
        s.items[node.outputs[0]] = Seen(made, "float32")
        return
    product = set_weighted(s, node, op, [x, w], f"{node.outputs[0]}/product")
    product = _scaled(s, node, product, alpha, "alpha")
    s.emit(node, "Add", [product, _scaled(s, node, s.real(node, 2), beta, "beta")])


def _softmax(s: Scope, node: OnnxNode) -> None:
    x, shape = s.real(node, 0), s.shape(node.inputs[0])
    rank = len(shape)
    axis = axis_in(int(node.attributes.get("axis", -1 if s.opset >= 13 else 1)), max(rank, 1))
    back: tuple[int, ...] | None = None
    if s.opset < 13 and axis != rank - 1:  # all axes from this one on, as one
        if any(isinstance(d, str) for d in shape[axis:]):
            raise Unsupported(f"axes {list(shape[axis:])} as one, which only a run knows")
        if "T" in shape:
            raise Unsupported("a Softmax over several axes beside T; give it a number")
        lead = (0,) if shape[0] == "N" else tuple(int(d) for d in shape[:1])
        back = (*lead, *(int(d) for d in shape[1:]))
        flat = (*back[:axis], math.prod(int(d) for d in shape[axis:]))
        x, axis = s.step(node, "Reshape", [x], {"shape": flat}), len(flat) - 1
    if node.op == "LogSoftmax":
        y = _log_softmax(s, node, x, axis)
    else:
        label = node.outputs[0] if back is None else f"{node.outputs[0]}/softmax"
        y = s.node("Softmax", [x], label, {"axis": axis})
    if back is not None:
        y = s.node("Reshape", [y], node.outputs[0], {"shape": back})
    s.items[node.outputs[0]] = Seen(y, "float32")


def _log_softmax(s: Scope, node: OnnxNode, x: str, axis: int) -> str:
    """X - m - Log(sum Exp(x - m)), m the largest."""
    over: Mapping[str, Attribute] = {"axes": (axis,), "keepdims": 1}
    less = s.step(node, "Sub", [x, s.step(node, "ReduceMax", [x], over)])
    total = s.step(node, "ReduceSum", [s.step(node, "Exp", [less])], over)
    return s.step(node, "Sub", [less, s.step(node, "Log", [total])])


def _axes(s: Scope, node: OnnxNode, rank: int) -> tuple[int, ...]:
    axes = s.ints(node, 1, "axes")
    if not axes:
        if axes is not None and node.attributes.get("noop_with_empty_axes", 0):
            return ()
        if node.attributes.get("noop_with_empty_axes", 0):
            return ()
        return tuple(range(rank))
    return axes


def _reduce(s: Scope, node: OnnxNode) -> None:
    x = s.real(node, 0)
    axes = _axes(s, node, len(s.shape(node.inputs[0])))
    over: dict[str, Attribute] = {"axes": axes, "keepdims": int(node.attributes.get("keepdims", 1))}
    if not axes and node.op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        s.emit(node, "Identity", [x])
        return
    if not axes:
        raise Unsupported("no axes")
    if node.op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin"):
        s.emit(node, node.op, [x], over)
    elif node.op == "ReduceL1":
        s.emit(node, "ReduceSum", [s.step(node, "Abs", [x])], over)
    elif node.op == "ReduceSumSquare":
        s.emit(node, "ReduceSum", [s.step(node, "Mul", [x, x])], over)
    elif node.op == "ReduceL2":
        squares = s.step(node, "Mul", [x, x])
        s.emit(node, "Sqrt", [s.step(node, "ReduceSum", [squares], over)])
    elif node.op == "ReduceLogSum":
        s.emit(node, "Log", [s.step(node, "ReduceSum", [x], over)])
    else:  # ReduceLogSumExp: m + Log(sum Exp(x - m)), m the largest
        largest = s.step(node, "ReduceMax", [x], {"axes": axes, "keepdims": 1})
        terms = s.step(node, "Exp", [s.step(node, "Sub", [x, largest])])
        log = s.step(node, "Log", [s.step(node, "ReduceSum", [terms], over)])
        if not over["keepdims"]:
            largest = s.step(node, "Squeeze", [largest], {"axes": axes})
        s.emit(node, "Add", [log, largest])


def _arg(s: Scope, node: OnnxNode) -> None:
    given = {k: node.attributes[k] for k in ("axis", "keepdims", "select_last_index")
             if k in node.attributes}  # fmt: skip
    s.emit(node, node.op, [s.real(node, 0)], given, dtype="int64")


def _top_k(s: Scope, node: OnnxNode) -> None:
    k = s.known(node, 1, "K")
    count = int(node.attributes["k"]) if k is None else int(k.ravel()[0])
    given: dict[str, Attribute] = {
        "k": count,
        "axis": int(node.attributes.get("axis", -1)),
        "largest": int(node.attributes.get("largest", 1)),
    }
    names = s.nodes("TopK", [s.real(node, 0)], node.outputs, given)
    for output, name, dtype in zip(node.outputs, names, ("float32", "int64"), strict=True):
        if output:
            s.items[output] = Seen(name, dtype)


PRODUCTS: Mapping[str, Lower] = {
    "MatMul": _matmul,
    "Gemm": _gemm,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    **dict.fromkeys(
        (
            *("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceL1", "ReduceL2"),
            *("ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"),
        ),
        _reduce,
    ),
    "ArgMax": _arg,
    "ArgMin": _arg,
    "TopK": _top_k,
}
