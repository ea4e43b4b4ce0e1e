"""The plan: what computes on codes, what fuses, who shares parameters."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.fold import fold
from refquant.model.graph import Graph
from refquant.model.quantize_plan import Plan, plan
from tests.refquant.model.small_cnn import small_cnn


def _plan(graph: Graph, *excluded: str, contract: str = "ort") -> Plan:
    return plan(graph, contract=preset(contract), excluded=excluded)


def _float(p: Plan) -> list[str]:
    return [layer.node.name for layer in p.layers if not layer.codes]


def _matrix(name: str, b: Builder) -> str:
    return b.constant(name, np.eye(2, dtype=np.float32))


def test_everything_of_the_network_computes_on_codes() -> None:
    p = _plan(fold(small_cnn()))
    assert _float(p) == [], "ort computes a Softmax on codes, too"
    fused = {layer.node.name: layer.bound.name for layer in p.layers if layer.bound is not None}
    assert fused == {
        "stem": "stem.relu", "dw": "dw.clip", "residual": "residual.relu", "fc": "fc.relu",
    }, fused  # fmt: skip
    (fc,) = (layer for layer in p.layers if layer.node.name == "fc")
    assert fc.node.inputs[2] == "fc.b", "the Add behind a MatMul is its bias"
    assert fc.output == "fc.relu", "a layer gives what it absorbed"


def test_linear_leaves_all_but_layers_with_weights_in_float() -> None:
    graph = fold(small_cnn())
    layers = plan(graph, contract=preset("ort"), excluded=("pw",), linear=True).layers
    coded = {layer.node.name for layer in layers if layer.codes}
    assert coded == {"stem", "dw", "side", "fc", "head"}, coded
    (dw,) = (layer for layer in layers if layer.node.name == "dw")
    assert dw.bound is not None, "what a layer absorbs is part of it"
    b = Builder("g")
    x = b.input("x", ("N", 2, 2))
    scores = b.node("MatMul", [x, x], name="scores")
    g = b.graph([b.node("Relu", [b.node("MatMul", [scores, _matrix("w", b)], name="y")])])
    layers = plan(g, contract=preset("ort"), excluded=(), linear=True).layers
    assert [(layer.node.name, layer.codes) for layer in layers] == [
        ("scores", False), ("y", True),
    ], "two computed matrices are no linear layer"  # fmt: skip


@pytest.mark.parametrize("contract", ["xnnpack", "tflite_reference"])
def test_softmax_is_float_where_the_contract_says_nothing(contract: str) -> None:
    assert _float(_plan(fold(small_cnn()), contract=contract)) == ["y"]


def test_operators_are_float_where_the_contract_has_none() -> None:
    left = {
        layer.node.op
        for layer in _plan(fold(small_cnn()), contract="torchao").layers
        if layer.codes
    }
    absent = {"Conv", "Gemm", "MatMul", "Mul", "Add", "AveragePool", "GlobalAveragePool", "Softmax"}
    assert not left & absent, "torchao has no integer operators"
    assert left, "tables and movement remain"


def test_who_copies_codes_shares_parameters() -> None:
    g = fold(small_cnn())
    source = _plan(g).source
    shared = {name: of for name, of in source.items() if name != of}
    movement = {"max": "excite", "pad": "join", "turn": "join", "flat": "join"}
    assert shared == movement, shared
    tflite = _plan(g, contract="tflite_reference").source
    shared = {name: of for name, of in tflite.items() if name != of}
    averages = {"squeeze": "residual.relu", "mean": "excite"}
    assert shared == {**movement, **averages}, "half_away averages keep parameters"


def test_excluded_nodes_neither_fuse_nor_are_fused() -> None:
    g = fold(small_cnn())
    p = _plan(g, "stem", "dw.clip", "fc.bias")
    assert _float(p) == ["stem", "stem.relu", "dw.clip", "fc.bias", "fc.relu"], (
        "a Relu behind a float node stays float with it"
    )
    assert [layer.node.name for layer in p.layers if layer.bound is not None] == ["residual"]


def test_a_relu_with_company_or_an_audience_stays_a_node() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    h = b.node("MatMul", [x, _matrix("w", b)], name="h")
    r = b.node("Relu", [h], name="r")
    s = b.node("Tanh", [h], name="s")
    k = b.node("MatMul", [x, "w"], name="k")
    g = b.graph([r, s, k, b.node("Relu", [k], name="last")])
    p = _plan(g)
    assert [layer.node.name for layer in p.layers] == ["h", "r", "s", "k", "last"]
    assert all(layer.codes and layer.bound is None for layer in p.layers), "two readers; an output"


def test_a_float_layer_absorbs_nothing() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 2))
    h = b.node("MatMul", [_matrix("w", b), x], name="left")  # a constant on the left: no form
    g = b.graph([b.node("Relu", [h], name="y")])
    p = _plan(g)
    assert [(layer.node.name, layer.codes) for layer in p.layers] == [("left", False), ("y", False)]


@pytest.mark.parametrize(
    ("shape", "fused"), [((2,), True), ((1, 2), False), ((1,), False), ((), False)]
)
def test_an_add_is_a_bias_if_it_is_a_vector_of_the_columns(
    shape: tuple[int, ...], fused: bool
) -> None:
    b = Builder("g")
    h = b.node("MatMul", [b.input("x", ("N", 2)), _matrix("w", b)], name="h")
    g = b.graph([b.node("Add", [b.constant("b", np.ones(shape, np.float32)), h], name="y")])
    assert len(_plan(g).layers) == (1 if fused else 2), f"a constant of shape {shape}"


@pytest.mark.parametrize("op", ["Sub", "Div"])
def test_operators_without_integer_form(op: str) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    assert _float(_plan(b.graph([b.node(op, [x, x], name="y")]))) == ["y"]


def test_a_pad_with_something_else_than_zero_stays_float() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    pads = (0, 1, 0, 1)
    ones = b.node("Pad", [x], name="ones", attributes={"pads": pads, "value": 1.0})
    zeros = b.node("Pad", [x], name="zeros", attributes={"pads": pads, "value": 0.0})
    read = b.graph([b.node("Tanh", [name]) for name in (ones, zeros)])
    assert _float(_plan(read)) == ["ones"], "codes have one for zero"


def test_computed_weights_and_biases_have_no_integer_form() -> None:
    b = Builder("g")
    x, w = b.input("x", (2, 2)), b.input("w", (2, 2))
    product = b.node("MatMul", [x, w], name="product")  # this has one: two computed matrices
    gemm = b.node("Gemm", [x, w], name="gemm")
    bias = b.node("Relu", [b.input("b", (2,))], name="bias")
    dense = b.node("Gemm", [x, _matrix("v", b), bias], name="dense")
    assert _float(_plan(b.graph([product, gemm, dense]))) == ["gemm", "dense"]
