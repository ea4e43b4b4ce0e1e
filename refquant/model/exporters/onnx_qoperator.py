r"""The QOperator form: operators that take codes, scales and zero points, and one arithmetic.

Every code that onnxruntime's CPU kernels make of it is ours, whatever it optimizes; but for
``Softmax``. Where one of its kernels computes by the node's contract, that kernel is asked for:

::

    Conv                      QLinearConv             Add, scale_ratios           QLinearAdd
    Gemm                      QGemm                   Mul, float_zp_before_round_f32  QLinearMul
    MatMul without a bias     QLinearMatMul           GlobalAveragePool  QLinearGlobalAveragePool
    LeakyRelu                 QLinearLeakyRelu        Sigmoid                     QLinearSigmoid
    movement                  itself, on codes

Where none does, the arithmetic is spelled out in operators whose results have one value only:

* a table of 256 codes is a ``Gather``; so is the table of a ``Sigmoid`` of which a code is so near
  to a tie that two good sigmoids disagree, nearer than

.. math:: |\, v - \lfloor v \rfloor - \tfrac12 | \le 2^{-12}, \quad v = \sigma(x) / s_y  \tag{1}

* integer accumulators are int32, or sums of integers in float32 below 2^24; then comes

.. math:: q_y = \mathrm{QuantizeLinear}(f_{32}(f_{32}(acc) \cdot m);\ s = 1, z = z_y)      \tag{2}

* ``Add`` of two reals is the operator ``Sum``, which onnxruntime does not fuse into ``QLinearAdd``;
  and a ``Sum`` of one keeps a ``Softmax`` from becoming ``QLinearSoftmax``, whose arithmetic is of
  its own. What remains is its ``exp``, another one than ours: that is the exception.

References: ONNX ``QLinearConv``, ``QLinearMatMul``; onnxruntime, ``docs/ContribOperators.md``.
"""

from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.exporters.onnx_codes import clamped, meaning, real
from refquant.model.exporters.onnx_contract import arithmetic
from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.exporters.onnx_float import add_float
from refquant.model.exporters.onnx_kernel import add_kernel, first_type, operand, weight
from refquant.model.exporters.onnx_qdq import codes_of, is_tabled
from refquant.model.exporters.onnx_spelled import (
    add_average,
    add_extreme,
    add_product,
    add_sum_of_products,
    add_table,
    is_clear,
)
from refquant.model.exporters.onnx_transposed import add_transposed
from refquant.model.graph import Node
from refquant.model.operators import MOVEMENT
from refquant.model.params import qparams_of
from refquant.ops.softmax import quotient_table

__all__ = ["add_qoperator"]

_CLAMPS = ("clamp_min", "clamp_max")


def add_qoperator(d: Draft, node: Node) -> None:
    """Add a node that computes on codes."""
    if node.op in MOVEMENT:
        _move(d, node)
        return
    arithmetic(d.graph, node)
    if is_tabled(d, node) and (node.op not in ("Sigmoid", "LeakyRelu") or not is_clear(d, node)):
        add_table(d, node)
        return
    (output,) = node.outputs
    bounds = {k: v for k, v in node.attributes.items() if k in _CLAMPS}
    if node.op == "Clip":
        clamped(d, output, bounds, node.inputs[0])
        return
    target = clamped(d, output, bounds, None)
    _OPERATORS[node.op](d, node, target)
    if bounds:
        clamped(d, output, bounds, target)


def _conv(d: Draft, node: Node, target: str) -> None:
    attributes = {k: v for k, v in node.attributes.items() if k not in _CLAMPS}
    bias = [d.own(node.inputs[2])] if len(node.inputs) == 3 else []
    inputs = [*operand(d, node.inputs[0], first_type(d, node)), *weight(d, node.inputs[1])]
    add_kernel(d, node, target, "QLinearConv", inputs, bias, attributes, "")


def _gemm(d: Draft, node: Node, target: str) -> None:
    attributes = {k: v for k, v in node.attributes.items() if k == "transB"}
    bias = d.own(node.inputs[2]) if len(node.inputs) == 3 else ""
    inputs = [*operand(d, node.inputs[0], first_type(d, node)), *weight(d, node.inputs[1]), bias]
    add_kernel(d, node, target, "QGemm", inputs, (), {"alpha": 1.0, **attributes})


def _matmul(d: Draft, node: Node, target: str) -> None:
    ranks = [len(d.graph.values[name].shape) for name in node.inputs[:2]]
    if len(node.inputs) == 2:
        inputs = [*operand(d, node.inputs[0], first_type(d, node)), *weight(d, node.inputs[1])]
        add_kernel(d, node, target, "QLinearMatMul", inputs, (), {}, "")
    elif ranks == [2, 2]:
        _gemm(d, node, target)
    else:
        first_type(d, node)
        add_sum_of_products(d, node, target)


def _pair(d: Draft, node: Node) -> list[str]:
    """Return both operands of a kernel that adds the zero point before it rounds.

    Its sums are rounded with the zero point in them: codes that are moved by 128 are others there.
    """
    dtype = first_type(d, node)
    types = [d.graph.values[name].dtype for name in (*node.inputs, *node.outputs)]
    if set(types) != {dtype}:
        raise NoForm(f"codes of {', '.join(types)}; this arithmetic has a kernel of one type only")
    return [name for value in node.inputs for name in operand(d, value, dtype)]


def _add(d: Draft, node: Node, target: str) -> None:
    if arithmetic(d.graph, node).add == "scale_ratios":
        add_kernel(d, node, target, "QLinearAdd", _pair(d, node))
        return
    total = d.step("Sum", [real(d, name) for name in node.inputs], f"{node.outputs[0]}/reals")
    d.add("QuantizeLinear", [total, *meaning(d, node.outputs[0])], target)


def _mul(d: Draft, node: Node, target: str) -> None:
    if arithmetic(d.graph, node).requantize == "float_zp_before_round_f32":
        add_kernel(d, node, target, "QLinearMul", _pair(d, node))
    else:
        add_product(d, node, target)


def _unary(d: Draft, node: Node, target: str) -> None:
    inputs = operand(d, node.inputs[0], first_type(d, node))
    add_kernel(d, node, target, f"QLinear{node.op}", inputs, (), node.attributes)


def _softmax(d: Draft, node: Node, target: str) -> None:
    y = node.outputs[0]
    if len(node.inputs) == 2:
        _quotients(d, node, target)
        return
    parts = d.step("Softmax", [real(d, node.inputs[0])], f"{y}/parts", node.attributes)
    apart = d.step("Sum", [parts], f"{y}/reals")  # of one: what is fused would be QLinearSoftmax
    d.add("QuantizeLinear", [apart, *meaning(d, y)], target)


def _quotients(d: Draft, node: Node, target: str) -> None:
    """QLinearSoftmax makes the table itself, for the length that it sees."""
    x, table = node.inputs
    axis = int(str(node.attributes.get("axis", -1)))
    length, value = d.graph.values[x].shape[axis], d.graph.values[node.outputs[0]]
    q = qparams_of(d.graph, x)
    own = None if isinstance(length, str) else quotient_table(q, length=length)
    if own is None or not np.array_equal(own, d.graph.constants[table]):
        raise NoForm("its table is not onnxruntime's for this length")
    first = first_type(d, node)
    assert value.quant is not None, "the caller has codes"
    if value.dtype != d.graph.values[x].dtype or value.dtype != first:
        raise NoForm(
            f"codes of {d.graph.values[x].dtype} and {value.dtype}; the kernel has one type"
        )
    given = {"axis": axis, "opset": 13}
    add_kernel(d, node, target, "QLinearSoftmax", operand(d, x, first), (), given)


def _relu(d: Draft, node: Node, target: str) -> None:
    zero = meaning(d, node.inputs[0])[1]
    d.add("Clip", [node.inputs[0], zero], target)


def _move(d: Draft, node: Node) -> None:
    """Movement is the operator itself; what it adds are zero points."""
    if node.op == "GlobalMaxPool":
        add_extreme(d, node)
        return
    value = d.graph.values[node.outputs[0]]
    assert value.quant is not None, "the caller has codes"
    if node.op == "Pad":
        pads = np.array(node.attributes["pads"], np.int64)
        names = [
            d.number(f"{node.name}/pads", pads, "int64"),
            meaning(d, node.outputs[0])[1],
        ]
        d.add("Pad", [node.inputs[0], *names], node.outputs)
        return
    for name in node.inputs:
        d.real_names[name] = codes_of(d, name)
    add_float(d, node)
    for name in node.inputs:
        d.real_names.pop(name, None)


_OPERATORS: Mapping[str, Callable[[Draft, Node, str], None]] = {
    "Conv": _conv,
    "ConvTranspose": add_transposed,
    "Gemm": _gemm,
    "MatMul": _matmul,
    "Add": _add,
    "Mul": _mul,
    "AveragePool": add_average,
    "GlobalAveragePool": _unary,
    "Sigmoid": _unary,
    "LeakyRelu": _unary,
    "Softmax": _softmax,
    "Relu": _relu,
}
