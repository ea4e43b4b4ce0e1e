"""The QDQ form: every operator on codes is a float operator between pairs.

::

    codes -> DequantizeLinear -> Conv -> QuantizeLinear -> (Clip of codes) -> codes
    int8 weight -> DequantizeLinear --^    a bias is int32, its scale that of the products

This is the form that every tool knows how to fuse. What it computes is up to who runs it: where a
runtime fuses the pair it has integer kernels, where it does not it computes in float32. Which codes
come out in onnxruntime is said, operator by operator, in docs/how-to/export-to-onnx.md.

A bound on codes (a fused ``Relu``) is a ``Clip`` of codes behind the pair: one inside it would keep
onnxruntime from fusing wherever the zero point is not the lowest code.
"""

import numpy as np

from refquant.model.exporters.onnx_codes import clamped, dequantized, meaning, quantized, real
from refquant.model.exporters.onnx_contract import arithmetic, before_rounding
from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.exporters.onnx_float import add_float
from refquant.model.graph import DTYPES, Node
from refquant.model.operators import UNARY

__all__ = ["add_ends", "add_qdq", "bias_scale", "codes_of", "is_tabled", "rounded_late"]

_CLAMPS = ("clamp_min", "clamp_max")


def is_tabled(d: Draft, node: Node) -> bool:
    """Say whether the node reads its result from a table of codes."""
    return node.op in UNARY and len(node.inputs) == 2


def add_ends(d: Draft, node: Node) -> None:
    """Add a ``QuantizeLinear`` or ``DequantizeLinear`` of the graph itself."""
    contract, x, y = arithmetic(d.graph, node), node.inputs[0], node.outputs[0]
    if node.op == "DequantizeLinear":
        value = d.graph.values[x]
        dequantized(d, x, value, y)
    elif not before_rounding(contract) or (d.form == "qdq" and _averaged(d, x)):
        quantized(d, real(d, x), y)
    else:
        scale = meaning(d, y)[0]
        steps = d.step("Div", [real(d, x), scale], f"{y}/steps")
        rounded_late(d, steps, y)


def _averaged(d: Draft, name: str) -> bool:
    """Say whether it is a mean of codes: fused, the zero point of that pair is added before."""
    return any(node.op == "AveragePool" and name in node.outputs for node in d.graph.nodes)


def rounded_late(d: Draft, steps: str, output: str) -> None:
    """Round reals in units of codes after the zero point is added."""
    value = d.graph.values[output]
    assert value.quant is not None, "validate: an output of codes"
    zero = d.number(f"{output}/zero_point/float32", value.quant.zero_point, "float32")
    one = d.number(f"{output}/one", 1, "float32")
    none = d.number(f"{output}/none", 0, value.dtype)
    moved = d.step("Add", [steps, zero], f"{output}/placed")
    d.add("QuantizeLinear", [moved, one, none], output)


def add_qdq(d: Draft, node: Node) -> None:
    """Add a node that computes on codes as a float node between pairs."""
    if node.contract is not None:
        arithmetic(d.graph, node)
    (output,) = node.outputs
    reals = d.free(f"{output}/reals")
    tabled = is_tabled(d, node)
    inputs = node.inputs[:1] if tabled or node.op == "Softmax" else node.inputs
    bounds = {k: v for k, v in node.attributes.items() if k in _CLAMPS}
    own = {k: v for k, v in node.attributes.items() if k not in _CLAMPS}
    if node.op in ("Conv", "ConvTranspose", "Gemm", "MatMul") and len(inputs) == 3:
        d.real_names[inputs[2]] = _bias(d, node)
    if node.op == "Requantize":
        quantized(d, real(d, inputs[0]), output)
        return
    if node.op == "Clip" and not tabled:
        clamped(d, output, bounds, inputs[0])
        return
    add_float(d, Node(node.name, node.op, inputs, (reals,), own))
    scale, zero = meaning(d, output)
    if not bounds:
        d.add("QuantizeLinear", [reals, scale, zero], output)
        return
    made = d.add("QuantizeLinear", [reals, scale, zero], clamped(d, output, bounds, None))
    clamped(d, output, bounds, made)


def bias_scale(d: Draft, x: str, w: str) -> np.typing.NDArray[np.float32]:
    """Return the scale of the products of two values of codes: one, or one a channel."""
    scales = []
    for name in (x, w):
        quant = d.graph.values[name].quant
        if quant is None:
            raise NoForm(f"{name!r} has no scale beside codes")
        if isinstance(quant.scale, str):
            scales.append(d.graph.constants[quant.scale].ravel())
        else:
            scales.append(np.asarray(quant.scale, np.float32))
    with np.errstate(under="ignore", over="ignore"):
        return np.asarray(scales[0] * scales[1], np.float32)


def _bias(d: Draft, node: Node) -> str:
    x, w, bias = node.inputs
    scale = d.number(f"{bias}/scale", bias_scale(d, x, w), "float32")
    attributes = {"axis": 0} if d.constants[scale].array.ndim else {}
    name = d.free(f"{bias}/real")
    return d.add("DequantizeLinear", [d.own(bias), scale], name, attributes)


def codes_of(d: Draft, name: str, dtype: str | None = None) -> str:
    """Return the codes of ``name``: a constant is taken over, in ``dtype``."""
    if name in d.graph.constants:
        value = d.graph.values[name]
        wide = DTYPES[value.dtype].bits < 8
        fallback = ("uint8" if value.dtype.startswith("u") else "int8") if wide else value.dtype
        return d.own(name, dtype or fallback)
    return name
