"""What operands a node may have; each case is a graph of one node."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Node, Quant, Value
from refquant.model.validate import GraphError, validate

ONNX = preset("onnx")
Q = Quant(0.5, 0)
F = Value("float32", ("N", 4))
F44 = Value("float32", (4, 4))
I8 = Value("int8", ("N", 4), Q)
PLAIN8 = Value("int8", ("N", 4))


def one(
    op: str,
    values: dict[str, Value],
    *,
    contract: str | None = None,
    constants: dict[str, np.ndarray] | None = None,
    **attributes: Any,
) -> Graph:
    """Return a graph of one node from all ``values`` but the last to the last."""
    *inputs, output = values
    node = Node("n", op, tuple(inputs), (output,), attributes, contract)
    given = constants or {}
    free = tuple(name for name in inputs if name not in given)
    contracts = {"onnx": ONNX}
    return Graph("g", free, (output,), values, (node,), given, contracts, {})


GOOD = [
    one("Relu", {"x": F, "y": F}),
    one("Relu", {"x": I8, "y": I8}, contract="onnx"),
    one("Clip", {"x": I8, "y": I8}, contract="onnx", clamp_min=0, clamp_max=5),
    one("Identity", {"x": I8, "y": I8}),
    one("Identity", {"x": PLAIN8, "y": PLAIN8}),
    one("Pad", {"x": I8, "y": I8}, pads=(0, 0, 0, 0), value=0),
    one("Pad", {"x": F, "y": F}, pads=(0, 0, 0, 0), value=7),
    one("QuantizeLinear", {"x": F, "y": I8}, contract="onnx"),
    one("DequantizeLinear", {"x": I8, "y": F}, contract="onnx"),
    one("Softmax", {"x": I8, "y": I8}, contract="onnx"),
]


@pytest.mark.parametrize("graph", GOOD, ids=lambda g: g.nodes[0].op)
def test_what_is_defined_passes(graph: Graph) -> None:
    validate(graph)


U8 = Value("uint8", ("N", 4), Q)
OTHER = Value("int8", ("N", 4), Quant(0.25, 0))
WIDE = Value("int16", ("N", 4), Q)
I32 = Value("int32", ("N", 4), Q)
NEGATIVE = Value("int8", ("N", 1, 4), Quant(-0.5, 0))


@pytest.mark.parametrize(
    ("graph", "message"),
    [
        (one("Relu", {"x": I8, "y": I8}), "names its contract; add contract"),
        (one("Relu", {"x": I8, "y": I8}, contract="none"), "'none' is not in contracts"),
        (one("Relu", {"x": F, "y": F}, contract="onnx"), "computes by no contract, got 'onnx'"),
        (one("Flatten", {"x": I8, "y": I8}, contract="onnx"), "computes by no contract"),
        (one("Clip", {"x": F, "y": F}, clamp_min=0), "clamp_min is for a quantized output"),
        (one("MatMul", {"x": F44, "w": Value("int8", (4, 4), Q), "y": F44}, contract="onnx",
             constants={"w": np.zeros((4, 4), np.int8)}, clamp_max=3),
         "clamp_max is for a quantized output"),
        (one("Identity", {"x": I8, "y": U8}), "equal dtype and quant"),
        (one("Identity", {"x": I8, "y": OTHER}), "equal dtype and quant"),
        (one("Identity", {"x": F, "y": PLAIN8}), "equal dtype and quant"),
        (
            one("Concat", {"x": I8, "z": OTHER, "y": replace(I8, shape=("N", 8))}, axis=1),
            "input 'z' and the output have equal",
        ),
        (one("Pad", {"x": PLAIN8, "y": PLAIN8}, pads=(0, 0, 0, 0)), "plain int8 has no code for 0"),
        (one("Pad", {"x": I8, "y": I8}, pads=(0, 0, 0, 0), value=1), "value is 0, got 1"),
        (one("QuantizeLinear", {"x": I8, "y": I8}, contract="onnx"), "the input is float32"),
        (one("QuantizeLinear", {"x": F, "y": F}), "the output has quant"),
        (one("QuantizeLinear", {"x": F, "y": I32}, contract="onnx"), "8 or 16 bits, got int32"),
        (one("DequantizeLinear", {"x": F, "y": F}), "the input has quant"),
        (one("DequantizeLinear", {"x": PLAIN8, "y": F}), "the input has quant"),
        (one("DequantizeLinear", {"x": I8, "y": I8}, contract="onnx"), "the output is float32"),
        (one("Relu", {"x": PLAIN8, "y": F}), "input 'x' is float32 without quant, got int8"),
        (one("Relu", {"x": F, "y": PLAIN8}), "the output is float32 without quant, got int8"),
        (one("Relu", {"x": I8, "y": F}, contract="onnx"), "input 'x' is float32"),
        (one("Sub", {"x": I8, "z": I8, "y": I8}, contract="onnx"), "input 'x' is float32"),
        (one("Add", {"x": I8, "z": F, "y": F}, contract="onnx"), "input 'x' is float32"),
        (one("Requantize", {"x": F, "y": F}), "a table maps codes to codes"),
        (
            one("Relu", {"x": F, "t": Value("float32", (256,)), "y": F}),
            "a table maps codes to codes",
        ),
        (
            one("MatMul", {"x": F, "w": F44, "b": Value("float32", (4,)), "y": F},
                constants={"w": np.eye(4, dtype=np.float32), "b": np.zeros(4, np.float32)}),
            "a float32 MatMul has two inputs",
        ),
    ],
)  # fmt: skip
def test_what_is_not_is_named(graph: Graph, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        validate(graph)


def test_the_largest_code_is_the_largest_real_only_for_positive_scales() -> None:
    contract = replace(ONNX, negative_scale=True)
    values = {"x": F, "q": replace(NEGATIVE, shape=("N", 1, 4)), "y": NEGATIVE}
    values["x"] = replace(F, shape=("N", 1, 4))
    nodes = (
        Node("q", "QuantizeLinear", ("x",), ("q",), {}, "onnx"),
        Node("n", "MaxPool", ("q",), ("y",), {"kernel_shape": (1,)}),
        Node("d", "DequantizeLinear", ("y",), ("z",), {}, "onnx"),
    )
    values["z"] = values["x"]
    graph = Graph("g", ("x",), ("z",), values, nodes, {}, {"onnx": contract}, {})
    with pytest.raises(GraphError, match="the largest code is not the largest real"):
        validate(graph)


def _weight_only(**changes: Any) -> Callable[[], Graph]:
    def build() -> Graph:
        b = Builder("g")
        x = b.input("x", ("N", 4))
        spec = {"array": np.ones((4, 2), np.int8), "dtype": None, "quant": Q} | changes
        w = b.constant("w", spec["array"], dtype=spec["dtype"], quant=spec["quant"])
        return b.graph([b.node("MatMul", [x, w], contract=ONNX)])

    return build


def test_a_weight_of_codes_is_a_constant_of_at_most_16_bits() -> None:
    _weight_only()()
    _weight_only(dtype="int2")()
    _weight_only(array=np.ones((4, 2), np.int16))()
    with pytest.raises(GraphError, match="the weight 'w' beside a float32 activation"):
        _weight_only(array=np.ones((4, 2), np.int32))()
    with pytest.raises(GraphError, match="computes by no contract"):
        _weight_only(quant=None)()
