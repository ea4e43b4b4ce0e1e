"""Small graphs that together use most of the format; built once."""

from collections.abc import Mapping

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.ops.unary import unary_table

ONNX = preset("onnx")


def _random(*shape: int) -> np.ndarray:
    rng = np.random.default_rng(sum(shape) + len(shape))
    return rng.standard_normal(shape).astype(np.float32)


def float_cnn() -> Graph:
    """Convolution, normalization, pools, a product, softmax."""
    b = Builder("float_cnn")
    x = b.input("x", ("N", 2, 6, 6))
    h = b.node(
        "Conv",
        [x, b.constant("w1", _random(4, 2, 3, 3)), b.constant("b1", _random(4))],
        attributes={"pads": (1, 1, 1, 1)},
    )
    norm = [b.constant(n, a) for n, a in zip("gomv", np.abs(_random(4, 4)) + 1, strict=True)]
    h = b.node("BatchNormalization", [h, *norm])
    h = b.node("Identity", [b.node("Relu", [h])])
    h = b.node("MaxPool", [h], attributes={"kernel_shape": (2, 2), "strides": (2, 2)})
    h = b.node("Conv", [h, b.constant("w2", _random(4, 1, 2, 2))], attributes={"group": 4})
    h = b.node("LeakyRelu", [h], attributes={"alpha": 0.25})
    h = b.node("Flatten", [b.node("AveragePool", [h], attributes={"kernel_shape": (2, 2)})])
    h = b.node(
        "Gemm",
        [h, b.constant("w3", _random(3, 4)), b.constant("b3", _random(3))],
        attributes={"transB": 1},
    )
    return b.graph([b.node("Softmax", [h], name="y")], meta={"made": ["by", "hand"], "n": 1.5})


def quantized_cnn() -> Graph:
    """Codes from end to end: per channel, per tensor, tables, 4-bit weights, a residual."""
    b = Builder("quantized_cnn")
    rng = np.random.default_rng(1)
    q8, wide = Quant(0.0625, 7), Quant(0.25, 3)
    x = b.node(
        "QuantizeLinear", [b.input("x", ("N", 2, 4, 4))], contract=ONNX, dtype="uint8", quant=q8
    )
    b.constant("w1_scale", np.array([0.5, 0.25, 0.125], np.float32).reshape(3, 1, 1, 1))
    w1 = b.constant(
        "w1",
        rng.integers(-128, 128, (3, 2, 3, 3)).astype(np.int8),
        quant=Quant("w1_scale", 0, (1, 2, 3, 3)),
    )
    bias = b.constant("b1", np.array([100, -100, 0], np.int32), quant=Quant(0.03125, 0))
    h = b.node(
        "Conv",
        [x, w1, bias],
        attributes={"pads": (1, 1, 1, 1), "clamp_min": 3},
        contract=ONNX,
        dtype="uint8",
        quant=wide,
    )
    params = QParams(np.float32(0.25), np.int32(3), None, "uint8")
    table = b.constant("table", unary_table("Sigmoid", {}, params, params, ONNX))
    s = b.node("Sigmoid", [h, table], contract=ONNX, dtype="uint8", quant=wide)
    h = b.node("Add", [h, s], contract=ONNX, dtype="uint8", quant=wide)
    h = b.node("MaxPool", [h], attributes={"kernel_shape": (2, 2), "strides": (2, 2)})
    h = b.node("GlobalAveragePool", [h], contract=ONNX, dtype="int8", quant=Quant(0.5, -4))
    codes = rng.integers(-8, 8, (3, 5)).astype(np.int8)
    w2 = b.constant("w2", codes, dtype="int4", quant=Quant(0.125, 0))
    h = b.node(
        "MatMul", [b.node("Flatten", [h]), w2], contract=ONNX, dtype="int8", quant=Quant(0.25, 0)
    )
    return b.graph([h, b.node("DequantizeLinear", [h], name="y", contract=ONNX)])


def dynamic() -> Graph:
    """Quantized by each sample's own range."""
    b = Builder("dynamic")
    x = b.input("x", ("N", 4))
    q = b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=ONNX)
    w = b.constant("w", np.arange(-6, 6, dtype=np.int8).reshape(4, 3), quant=Quant(0.5, 0))
    bias = b.constant("bias", _random(3))
    h = b.node("MatMulIntegerToFloat", [q[0], w, *q[1:], bias], contract=ONNX)
    return b.graph([b.node("Tanh", [h], name="y")])


def weight_only() -> Graph:
    """Float activations, 4-bit weights in ragged groups with zero points, no batch."""
    b = Builder("weight_only")
    x = b.input("x", (2, 5))
    b.constant("scale", np.array([[0.5, 1], [2, 4], [8, 16]], np.float32))
    b.constant("zero", np.array([[0, 15], [7, 8], [1, 2]], np.int32))
    codes = np.arange(10, dtype=np.uint8).reshape(5, 2)
    w = b.constant("w", codes, dtype="uint4", quant=Quant("scale", "zero", (2, 1)))
    return b.graph([b.node("MatMul", [x, w], name="y", contract=ONNX)])


def tables() -> Graph:
    """A weight by a table with scales of codes, and one of 3 bits, float zero points, any order."""
    b = Builder("tables")
    x = b.input("x", (2, 4))
    marks = b.constant("marks", np.array([0, 0.5, 1, np.nan, -0.5, -1, -3, 6], np.float32))
    powers = b.constant("powers", np.array([2.0**-127, 0.5, 2, np.nan], np.float32))
    inner = Quant(0.75, 0, table=powers)
    b.constant("t/scale", np.array([[0, 1], [2, 1]], np.uint8), dtype="uint2", quant=inner)
    t = b.constant("t", np.array([[0, 1], [2, 4], [5, 6], [7, 0]], np.uint8), dtype="uint3",
                   quant=Quant("t/scale", 0, (2, 1), table=marks))  # fmt: skip
    b.constant("f/scale", np.array([[0.5], [2]], np.float32))
    b.constant("f/zero", np.array([[0.5], [-7.25]], np.float32))
    order = b.constant("f/idx", np.array([1, 0, 0, 1], np.int32).reshape(4, 1))
    f = b.constant("f", np.array([[-4], [3], [0], [1]], np.int8), dtype="int3",
                   quant=Quant("f/scale", "f/zero", (2, 1), g_idx=order))  # fmt: skip
    return b.graph([b.node("MatMul", [x, w], name=f"y{w}", contract=ONNX) for w in (t, f)])


@pytest.fixture(scope="session")
def zoo() -> Mapping[str, Graph]:
    """Every graph above by name."""
    return {g.name: g for g in (float_cnn(), quantized_cnn(), dynamic(), weight_only(), tables())}


@pytest.fixture(
    scope="session", params=["float_cnn", "quantized_cnn", "dynamic", "weight_only", "tables"]
)
def graph(request: pytest.FixtureRequest, zoo: Mapping[str, Graph]) -> Graph:
    """One after the other."""
    return zoo[request.param]
