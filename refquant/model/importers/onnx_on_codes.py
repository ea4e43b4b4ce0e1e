"""Operators on codes: what `onnx_qdq` fuses a pair to, and `onnx_qoperator` writes directly.

Each takes the node, whose inputs are `Reals`, and a `Target`: the name of the result, its ruler,
a clamp in codes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from refquant.contracts import Contract
from refquant.model.graph import DTYPES, Attribute, Quant
from refquant.model.importers.onnx_codes import (
    ORT_ELEMENTWISE,
    TINY,
    qparams,
    requantized,
    tabled,
)
from refquant.model.importers.onnx_lower_windows import WINDOWS, pool_window, window_of
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Reals, Scope, Unsupported
from refquant.model.importers.onnx_sizes import axis_in
from refquant.model.validate_nodes import check_node
from refquant.ops.softmax import quotient_table

__all__ = ["CLAMPED", "FUSED", "Target"]


@dataclass(frozen=True, slots=True)
class Target:
    """What a fused operator gives: the name, the ruler, and a clamp in codes."""

    output: str
    dtype: str
    quant: Quant
    clamp: Mapping[str, Attribute]


def codes_of(s: Scope, node: OnnxNode, index: int) -> str:
    """Return the codes of an input that must be `Reals`."""
    item = s.items[node.inputs[index]]
    if not isinstance(item, Reals):
        raise Unsupported(f"input {index} is float32")
    return item.value


def bias_of(s: Scope, node: OnnxNode, x: str, w: str) -> list[str]:
    """Return the int32 bias, if there is one: its scale must be that of the products."""
    if not s.has(node, 2):
        return []
    bias = codes_of(s, node, 2)
    value = s.b.values[bias]
    if value.dtype != "int32" or value.quant is None or bias not in s.b.constants:
        raise Unsupported(f"the bias is {value.dtype}; int32 is added to products")
    xs, ws, bs = (_scales(s, name) for name in (x, w, bias))
    if bs.size not in (1, max(xs.size, ws.size)):
        raise Unsupported(f"the bias has {bs.size} scales")
    product = np.maximum((xs.astype(np.float64) * ws).ravel(), TINY)  # as `coded_constant`
    if not np.allclose(bs.ravel().astype(np.float64), product, rtol=2.0**-20, atol=0):
        raise Unsupported("the scale of the bias is not that of the products")
    return [bias]


def _scales(s: Scope, name: str) -> "np.typing.NDArray[np.float32]":
    quant = s.b.values[name].quant
    assert quant is not None, "codes have a meaning"
    if isinstance(quant.scale, str):
        return np.asarray(s.b.constants[quant.scale], np.float32)
    return np.asarray(quant.scale, np.float32)


def emit_codes(
    s: Scope,
    op: str,
    inputs: list[str],
    attributes: Mapping[str, Attribute],
    t: Target,
    contract: Contract | None = None,
) -> None:
    """Add an operator on codes; `Unsupported` if it could overflow, or its contract has it not."""
    made = s.node(
        op, inputs, t.output, {**attributes, **t.clamp},
        contract=contract or s.contract, dtype=t.dtype, quant=t.quant,
    )  # fmt: skip
    try:
        check_node(s.view(), s.b.nodes[-1])
    except ValueError as error:
        s.b.nodes.pop()
        del s.b.values[made]
        raise Unsupported(str(error)) from error


def _conv(s: Scope, node: OnnxNode, t: Target) -> None:
    x, w = codes_of(s, node, 0), codes_of(s, node, 1)
    if w not in s.b.constants:
        raise Unsupported("the weight is computed")
    kernel = tuple(int(d) for d in s.b.values[w].shape[2:])
    window = window_of(s, node, kernel)
    group = int(node.attributes.get("group", 1))
    emit_codes(s, "Conv", [x, w, *bias_of(s, node, x, w)], {**window, "group": group}, t)


def _in_reals(s: Scope, node: OnnxNode, t: Target) -> None:
    """Refuse an operator that onnxruntime has for reals only: its codes are rounded results."""
    raise Unsupported(f"onnxruntime has no {node.op} of codes, and computes it in float32")


def _gemm(s: Scope, node: OnnxNode, t: Target) -> None:
    a = node.attributes
    if a.get("alpha", 1.0) != 1.0 or a.get("beta", 1.0) != 1.0 or a.get("transA", 0):
        raise Unsupported("alpha, beta or transA")
    x, w = codes_of(s, node, 0), codes_of(s, node, 1)
    if w not in s.b.constants:
        raise Unsupported("the weight is computed")
    given: dict[str, Attribute] = {"transB": 1} if a.get("transB", 0) else {}
    emit_codes(s, "Gemm", [x, w, *bias_of(s, node, x, w)], given, t)


def _matmul(s: Scope, node: OnnxNode, t: Target) -> None:
    x, w = codes_of(s, node, 0), codes_of(s, node, 1)
    if x in s.b.constants:
        raise Unsupported("the left operand is a constant")
    emit_codes(s, "MatMul", [x, w], {}, t)


def _binary(s: Scope, node: OnnxNode, t: Target) -> None:
    inputs = [codes_of(s, node, 0), codes_of(s, node, 1)]
    emit_codes(s, node.op, inputs, {}, t, ORT_ELEMENTWISE)


def _global_average(s: Scope, node: OnnxNode, t: Target) -> None:
    emit_codes(s, node.op, [codes_of(s, node, 0)], {}, t)


def _average(s: Scope, node: OnnxNode, t: Target) -> None:
    """Onnxruntime averages the reals, and adds the zero point before it rounds.

    A window that is the whole plane, without padding, is a global pool to it.
    """
    x = codes_of(s, node, 0)
    window = pool_window(s, node)
    pads, plane = window["pads"], s.b.values[x].shape[2:]
    assert isinstance(pads, tuple), "window_of: a list"
    if window["kernel_shape"] == plane and not any(pads):
        emit_codes(s, "GlobalAveragePool", [x], {}, t)
        return
    s.why = "onnxruntime averages the reals, and quantizes the mean"
    WINDOWS["AveragePool"](s, node)
    for q in s.readers.get(node.outputs[0], []):  # of a pair; QLinearAveragePool has no reader
        s.unfused.append({"node": q.label, "op": q.op, "reason": s.why})
    mean = s.value_of(node.outputs[0])
    s.node(
        "QuantizeLinear", [mean], t.output, contract=ORT_ELEMENTWISE, dtype=t.dtype, quant=t.quant
    )


def _concat(s: Scope, node: OnnxNode, t: Target) -> None:
    parts = [codes_of(s, node, i) for i in range(len(node.inputs))]
    moved = [
        requantized(s, part, f"{t.output}/{i}", t.dtype, t.quant) for i, part in enumerate(parts)
    ]
    s.node("Concat", moved, t.output, {"axis": node.attributes["axis"]})


def _softmax(s: Scope, node: OnnxNode, t: Target) -> None:
    x, rank = codes_of(s, node, 0), len(s.shape(node.inputs[0]))
    axis = axis_in(int(node.attributes.get("axis", -1 if s.opset >= 13 else 1)), rank)
    if s.opset < 13 and axis != rank - 1:
        raise Unsupported("a Softmax over several axes")
    length, value = s.shape(node.inputs[0])[axis], s.b.values[x]
    if isinstance(length, str) or value.quant is None or DTYPES[value.dtype].bits != 8:
        raise Unsupported("a Softmax of a length that only a run knows; give it a number")
    table = quotient_table(qparams(value.dtype, value.quant), length=length)
    name = s.constant(f"{t.output}/table", table)
    emit_codes(s, "Softmax", [x, name], {"axis": axis}, t, ORT_ELEMENTWISE)


def _unary(s: Scope, node: OnnxNode, t: Target) -> None:
    x = codes_of(s, node, 0)
    attributes = {k: v for k, v in node.attributes.items() if k in ("alpha", "beta", "approximate")}
    if node.op == "Clip":
        for key, index in (("min", 1), ("max", 2)):
            known = s.known(node, index, key)
            number = node.attributes.get(key) if known is None else float(known.ravel()[0])
            if number is not None and abs(number) < float(np.finfo(np.float32).max):
                attributes[key] = float(number)
    tabled(s, node.op, attributes, x, t.output, t.dtype, t.quant)


CLAMPED = frozenset({"Conv", "Gemm", "MatMul", "Add", "Mul", "GlobalAveragePool"})
_TABLED = (
    *("Abs", "Clip", "Elu", "Erf", "Exp", "Gelu", "HardSigmoid", "HardSwish", "LeakyRelu", "Log"),
    *("Neg", "Relu", "Sigmoid", "Softplus", "Sqrt", "Swish", "Tanh"),
)
FUSED: Mapping[str, Callable[[Scope, OnnxNode, Target], None]] = {
    "Conv": _conv,
    "ConvTranspose": _in_reals,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _binary,
    "Mul": _binary,
    "AveragePool": _average,
    "GlobalAveragePool": _global_average,
    "Concat": _concat,
    "Softmax": _softmax,
    **dict.fromkeys(_TABLED, _unary),
}
