"""A float `Graph` as an ONNX model, run by onnxruntime: somebody else's arithmetic, same nodes.

Attributes that ONNX has as inputs become constants. Where onnxruntime 1.32 takes less than ONNX
says, or another type than we do, the twin goes around it:

* GRU and LSTM are there in layout 0 only: transpositions before and after;
* the mask of ``Attention`` must have as many rows as there are queries (ONNX: broadcastable): zeros
  of the full shape are added to it;
* positions of ``RotaryEmbedding`` are int64: a ``Cast``;
* ``Swish`` comes with opset 24: ``Sigmoid`` and ``Mul``.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from refquant.model.graph import Graph, Node, fits

KINDS = {"float32": TensorProto.FLOAT, "int32": TensorProto.INT32}
AS_INPUTS = {
    "Reshape": ("shape",),
    "ReduceSum": ("axes",),
    "ReduceMean": ("axes",),
    "Squeeze": ("axes",),
    "Unsqueeze": ("axes",),
    "Slice": ("starts", "ends", "axes"),
}
Made = tuple[list[onnx.NodeProto], dict[str, NDArray[Any]]]


def _plain(node: Node) -> Made:
    attributes: dict[str, Any] = dict(node.attributes)
    inputs, constants = list(node.inputs), {}
    for name in AS_INPUTS.get(node.op, ()):
        constants[f"{node.name}/{name}"] = np.array(attributes.pop(name), np.int64)
        inputs.append(f"{node.name}/{name}")
    made = helper.make_node(node.op, inputs, list(node.outputs), name=node.name, **attributes)
    return [made], constants


def _recurrent(node: Node) -> Made:
    """GRU and LSTM of layout 0 between transpositions."""
    turns: list[onnx.NodeProto] = []

    def turned(source: str, target: str, perm: list[int]) -> str:
        turns.append(helper.make_node("Transpose", [source], [target], perm=perm))
        return target

    inputs = list(node.inputs)
    inputs[0] = turned(inputs[0], f"{node.name}/x", [1, 0, 2])
    for i in range(5, len(inputs)):
        if inputs[i]:
            inputs[i] = turned(inputs[i], f"{node.name}/state{i}", [1, 0, 2])
    attributes: dict[str, Any] = {k: v for k, v in node.attributes.items() if k != "layout"}
    raw = [f"{name}/raw" for name in node.outputs]
    turns.append(helper.make_node(node.op, inputs, raw, name=node.name, **attributes))
    turned(raw[0], node.outputs[0], [2, 0, 1, 3])
    for source, target in zip(raw[1:], node.outputs[1:], strict=True):
        turned(source, target, [1, 0, 2])
    return turns, {}


def _around(node: Node, steps: int) -> Made:
    """Attention with a mask, RotaryEmbedding, Swish."""
    inputs, outputs = list(node.inputs), list(node.outputs)
    own: dict[str, Any] = dict(node.attributes)
    extra = f"{node.name}/extra"
    if node.op == "Swish":
        sigmoid = helper.make_node("Sigmoid", inputs, [extra])
        return [sigmoid, helper.make_node("Mul", [inputs[0], extra], outputs)], {}
    if node.op == "RotaryEmbedding":
        before = helper.make_node("Cast", [inputs[3]], [extra], to=TensorProto.INT64)
        inputs[3] = extra
        return [before, helper.make_node(node.op, inputs, outputs, **own)], {}
    zeros = f"{node.name}/zeros"
    before = helper.make_node("Add", [inputs[3], zeros], [extra])
    inputs[3] = extra
    rows = {zeros: np.zeros((steps, 1), np.float32)}
    return [before, helper.make_node(node.op, inputs, outputs, **own)], rows


def _made(node: Node, steps: int) -> Made:
    if node.op in ("GRU", "LSTM"):
        return _recurrent(node)
    masked = node.op == "Attention" and len(node.inputs) == 4
    if masked or node.op in ("RotaryEmbedding", "Swish"):
        return _around(node, steps)
    return _plain(node)


def to_onnx(graph: Graph, *, steps: int) -> onnx.ModelProto:
    """Return the model; `"N"` and `"T"` are its symbolic sizes, masks are for ``steps`` queries."""
    nodes, constants = [], dict(graph.constants)
    for node in graph.nodes:
        made, more = _made(node, steps)
        nodes += made
        constants |= more

    def described(name: str) -> onnx.ValueInfoProto:
        value = graph.values[name]
        return helper.make_tensor_value_info(name, KINDS[value.dtype], list(value.shape))

    return helper.make_model(
        helper.make_graph(
            nodes,
            graph.name,
            [described(name) for name in graph.inputs],
            [described(name) for name in graph.outputs],
            [numpy_helper.from_array(array, name) for name, array in constants.items()],
        ),
        opset_imports=[helper.make_opsetid("", 23)],
        ir_version=10,
    )


def run_twin(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """Return what onnxruntime computes, one thread, nothing fused."""
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    options.intra_op_num_threads = 1
    sizes: dict[str, int] = {}
    for name in graph.inputs:
        assert fits(graph.values[name].shape, inputs[name].shape, sizes), f"{name} does not fit"
    model = to_onnx(graph, steps=sizes.get("T", 1))
    session = onnxruntime.InferenceSession(model.SerializeToString(), options)
    return dict(zip(graph.outputs, session.run(list(graph.outputs), dict(inputs)), strict=True))
