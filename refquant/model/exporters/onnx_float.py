"""Float operators, and movement, as the operators of ONNX that they are named after.

What differs is the shape of it: attributes that ONNX has as inputs become constants, truths are
``BOOL`` there and ``uint8`` here, places ``int64`` there and ``int32`` here, and recurrent layers
have the batch first here: onnxruntime has them in layout 0 only, so transpositions stand around.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from refquant.model.exporters.onnx_codes import real
from refquant.model.exporters.onnx_draft import Draft, NoForm
from refquant.model.graph import Node
from refquant.model.operators import REFERENCE_ONLY

__all__ = ["add_float"]

_BOOL, _UINT8, _INT32, _INT64 = 9, 2, 6, 7

_AS_INPUTS: Mapping[str, tuple[str, ...]] = {
    "Reshape": ("shape",),
    "Slice": ("starts", "ends", "axes"),
    **dict.fromkeys(
        ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "Squeeze", "Unsqueeze"), ("axes",)
    ),
}
_SINCE = {"RMSNormalization": 23}
_COMPARISONS = frozenset({"Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual"})
_LOGIC = frozenset({"And", "Or", "Not"})


def add_float(d: Draft, node: Node) -> None:
    """Add ``node``, whose outputs have no codes; weights of codes are dequantized beside it."""
    if node.op in REFERENCE_ONLY and node.op != "BatchNormalization":
        raise NoForm(f"{node.op} is no operator of ONNX")
    inputs = [real(d, name) for name in node.inputs]
    _SPECIAL.get(node.op, _plain)(d, node, inputs)


def _plain(d: Draft, node: Node, inputs: list[str]) -> None:
    attributes: dict[str, Any] = dict(node.attributes)
    for name in _AS_INPUTS.get(node.op, ()):
        array = np.array(attributes.pop(name), np.int64)
        inputs.append(d.number(f"{node.name}/{name}", array, "int64"))
    d.add(node.op, inputs, node.outputs, attributes, since=_SINCE.get(node.op, 0))


def _matmul(d: Draft, node: Node, inputs: list[str]) -> None:
    w = node.inputs[1]
    if d.form == "qoperator" and w in d.graph.constants and inputs[1] != w:
        # A `Sum` of one: onnxruntime fuses the pair to MatMulNBits with activations of 8 bits.
        inputs[1] = d.step("Sum", [inputs[1]], f"{w}/apart")
    if len(inputs) == 2:
        d.add("MatMul", inputs, node.outputs)
        return
    product = d.step("MatMul", inputs[:2], f"{node.name}/product")
    d.add("Add", [product, inputs[2]], node.outputs)


def _clip(d: Draft, node: Node, inputs: list[str]) -> None:
    bounds = [
        d.number(f"{node.name}/{key}", node.attributes[key], "float32")
        if key in node.attributes else ""
        for key in ("min", "max")
    ]  # fmt: skip
    d.add("Clip", [*inputs, *bounds] if bounds[1] else [*inputs, *bounds[:1]], node.outputs)


def _pad(d: Draft, node: Node, inputs: list[str]) -> None:
    pads = d.number(f"{node.name}/pads", np.array(node.attributes["pads"], np.int64), "int64")
    value = d.number(f"{node.name}/value", node.attributes.get("value", 0), "float32")
    d.add("Pad", [*inputs, pads, value], node.outputs)


def _swish(d: Draft, node: Node, inputs: list[str]) -> None:
    # `Swish` is there since opset 24, and onnxruntime 1.32 has it for no later one.
    gate = d.step("Sigmoid", inputs, f"{node.name}/sigmoid")
    d.add("Mul", [inputs[0], gate], node.outputs)


def _top_k(d: Draft, node: Node, inputs: list[str]) -> None:
    attributes: dict[str, Any] = dict(node.attributes)
    k = d.number(f"{node.name}/k", np.array([attributes.pop("k")], np.int64), "int64")
    places = d.free(f"{node.outputs[1]}/int64")
    d.add("TopK", [*inputs, k], [node.outputs[0], places], attributes)
    d.add("Cast", [places], node.outputs[1], {"to": _INT32})


def _place(d: Draft, node: Node, inputs: list[str]) -> None:
    places = d.step(node.op, inputs, f"{node.outputs[0]}/int64", node.attributes)
    d.add("Cast", [places], node.outputs, {"to": _INT32})


def _truth(d: Draft, node: Node, inputs: list[str]) -> None:
    if node.op in _LOGIC:
        inputs = [_as_bool(d, name) for name in inputs]
    made = d.step(node.op, inputs, f"{node.outputs[0]}/bool", node.attributes)
    d.add("Cast", [made], node.outputs, {"to": _UINT8})


def _where(d: Draft, node: Node, inputs: list[str]) -> None:
    d.add("Where", [_as_bool(d, inputs[0]), *inputs[1:]], node.outputs)


def _cast(d: Draft, node: Node, inputs: list[str]) -> None:
    if node.attributes["to"] != _BOOL:
        d.add("Cast", inputs, node.outputs, node.attributes)
        return
    d.add("Cast", [_as_bool(d, inputs[0])], node.outputs, {"to": _UINT8})


def _as_bool(d: Draft, name: str) -> str:
    return d.step("Cast", [name], f"{name}/bool", {"to": _BOOL})


def _rotary(d: Draft, node: Node, inputs: list[str]) -> None:
    inputs[3] = d.step("Cast", [inputs[3]], f"{inputs[3]}/int64", {"to": _INT64})
    d.add(node.op, inputs, node.outputs, node.attributes, since=23)


def _attention(d: Draft, node: Node, inputs: list[str]) -> None:
    if len(inputs) == 4:
        q, mask = (d.graph.values[name].shape for name in (node.inputs[0], node.inputs[3]))
        if len(mask) < 2 or mask[-2] == 1:
            inputs[3] = _rows(d, node, inputs, len(q) - 2)
    d.add(node.op, inputs, node.outputs, node.attributes, since=23)


def _rows(d: Draft, node: Node, inputs: list[str], axis: int) -> str:
    """Give the mask as many rows as there are queries: onnxruntime 1.32 wants them all."""
    name = node.name
    steps = d.step("Shape", inputs[:1], f"{name}/steps", {"start": axis, "end": axis + 1})
    one = d.number(f"{name}/one", np.array([1]), "int64")
    shape = d.step("Concat", [steps, one], f"{name}/rows/shape", {"axis": 0})
    zeros = d.step("Expand", [d.number(f"{name}/zero", 0, "float32"), shape], f"{name}/rows")
    return d.step("Add", [inputs[3], zeros], f"{name}/mask")


def _recurrent(d: Draft, node: Node, inputs: list[str]) -> None:
    def turned(name: str, perm: tuple[int, ...]) -> str:
        return d.step("Transpose", [name], f"{name}/time_first", {"perm": perm})

    inputs[0] = turned(inputs[0], (1, 0, 2))
    for i in range(5, len(inputs)):
        if inputs[i]:
            inputs[i] = turned(inputs[i], (1, 0, 2))
    attributes = {k: v for k, v in node.attributes.items() if k != "layout"}
    made = [d.free(f"{name}/time_first") for name in node.outputs]
    d.add(node.op, inputs, made, attributes)
    for i, (name, ours) in enumerate(zip(made, node.outputs, strict=True)):
        d.add("Transpose", [name], ours, {"perm": (1, 0, 2) if i else (2, 0, 1, 3)})


def _of_codes_only(d: Draft, node: Node, inputs: list[str]) -> None:
    raise NoForm("Requantize is of codes only")


_SPECIAL: Mapping[str, Callable[[Draft, Node, list[str]], None]] = {
    "MatMul": _matmul,
    "Clip": _clip,
    "Pad": _pad,
    "Swish": _swish,
    "TopK": _top_k,
    "ArgMax": _place,
    "ArgMin": _place,
    "Where": _where,
    "Cast": _cast,
    "RotaryEmbedding": _rotary,
    "Attention": _attention,
    "GRU": _recurrent,
    "LSTM": _recurrent,
    "Requantize": _of_codes_only,
    **dict.fromkeys(_COMPARISONS | _LOGIC, _truth),
}
