"""Weights: where channels are, what a block is, that zero is exact and the grid never worse."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from refquant.contracts import preset
from refquant.formats.affine import QParams, dequantize, fake_quantize, quantize
from refquant.model.build import Builder
from refquant.model.channels import channel_axis
from refquant.model.graph import Node, Quant
from refquant.model.quantize import quantize as quantize_graph
from refquant.model.quantize_weights import (
    add_codes,
    add_float,
    has_constant_weight,
    is_depthwise,
    weight_block,
    weight_qparams,
)
from refquant.model.recipe import recipe
from refquant.model.recipe_rules import Weights
from tests.refquant.model.literals import f32, i8, i32, u8

F32 = np.float32


def _node(op: str, **attributes: Any) -> Node:
    return Node("n", op, ("x", "w"), ("y",), attributes)


@pytest.mark.parametrize(
    ("node", "shape", "axis", "channel", "group"),
    [
        (_node("Conv"), (16, 8, 3, 3), 0, (1, 8, 3, 3), (1, 3, 3, 3)),
        (_node("Conv"), (16, 8, 1, 1), 0, (1, 8, 1, 1), (1, 8, 1, 1)),
        (_node("Conv"), (16, 64, 1, 1), 0, (1, 64, 1, 1), (1, 32, 1, 1)),
        (_node("Conv"), (16, 8, 5), 0, (1, 8, 5), (1, 6, 5)),
        (_node("Conv"), (4, 8, 7, 7), 0, (1, 8, 7, 7), (1, 1, 4, 7)),
        (_node("Conv", group=8), (8, 1, 3, 3), 0, (1, 1, 3, 3), (1, 1, 3, 3)),
        (_node("Gemm"), (100, 10), 1, (100, 1), (32, 1)),
        (_node("Gemm", transB=1), (10, 100), 0, (1, 100), (1, 32)),
        (_node("MatMul"), (20, 10), 1, (20, 1), (20, 1)),
    ],
)
def test_blocks(
    node: Node, shape: tuple[int, ...], axis: int, channel: tuple[int, ...], group: tuple[int, ...]
) -> None:
    assert channel_axis(node, len(shape)) == axis, f"output channels of {node.op} {shape}"
    assert weight_block(node, shape, Weights()) == channel, "one channel"
    assert weight_block(node, shape, Weights(granularity="group", group_size=32)) == group
    assert weight_block(node, shape, Weights(granularity="per_tensor")) is None


@given(st.lists(st.integers(1, 40), min_size=3, max_size=4), st.integers(1, 100))
def test_no_group_holds_more_than_its_size(shape: list[int], size: int) -> None:
    rules = Weights(granularity="group", group_size=size)
    block = weight_block(_node("Conv"), tuple(shape), rules)
    assert block is not None, "a group is a block"
    assert math.prod(block) <= size, f"{block} of {shape}"
    assert all(b <= d for b, d in zip(block, shape, strict=True)), "inside of the tensor"


def test_depthwise_is_one_input_channel_of_several() -> None:
    assert is_depthwise(_node("Conv", group=8), (16, 1, 3, 3)), "with a multiplier of 2"
    assert not is_depthwise(_node("Conv"), (16, 1, 3, 3)), "one channel in, not one of several"
    assert not is_depthwise(_node("Conv", group=2), (16, 4, 3, 3)), "grouped, four channels each"
    assert not is_depthwise(_node("MatMul"), (16, 1)), "no convolution"


weights = arrays(F32, (3, 7), elements=st.floats(-8, 8, width=32))
every_rule = [
    Weights(bits, symmetric, observer=observer)
    for bits in (8, 4, 2)
    for symmetric in (True, False)
    for observer in ("minmax", "mse_grid")
]


@given(weights, st.sampled_from(every_rule), st.sampled_from(["ort", "onnx", "tflite_reference"]))
def test_zero_is_exact_and_codes_are_in_range(w: Any, rules: Weights, name: str) -> None:
    contract = preset(name)
    p = weight_qparams(w, rules, block=(1, 4), contract=contract)
    assert (p.dtype, np.shape(p.scale)) == (rules.dtype, (3, 2)), "one scale a block, ragged too"
    codes = quantize(np.zeros_like(w), p, contract=contract)
    assert (dequantize(codes, p) == 0).all(), "zero has a code"
    low, high = p.code_range
    assert low <= quantize(w, p, contract=contract).min(), "a code below the range"
    assert quantize(w, p, contract=contract).max() <= high, "a code above the range"
    if rules.symmetric:
        assert not np.asarray(p.zero_point).any(), "symmetric is around zero"


@given(weights, st.sampled_from([r for r in every_rule if r.observer == "mse_grid"]))
def test_the_grid_is_never_worse_in_any_block(w: Any, rules: Weights) -> None:
    contract = preset("ort")

    def cost(observer: str) -> Any:
        found = Weights(rules.bits, rules.symmetric, observer=observer)
        p = weight_qparams(w, found, block=(1, 7), contract=contract)
        return ((fake_quantize(w, p, contract=contract).astype(float) - w) ** 2).sum(axis=1)

    # Both sums are over 7 terms in float64; the order of additions may differ.
    assert (cost("mse_grid") <= cost("minmax") * (1 + 2.0**-48)).all(), "factor 1 is in the grid"


def test_the_grid_finds_the_outlier() -> None:
    w = np.append(np.linspace(-1, 1, 200), 4.0).astype(F32)[None]
    rules = Weights(4, observer="mse_grid")
    p = weight_qparams(w, rules, block=None, contract=preset("onnx"))
    assert 0.15 < float(p.scale) < 4 / 7, f"clips 4.0, not the rest: scale {float(p.scale)}"


@pytest.mark.parametrize("w", [np.zeros((0, 3), F32), np.array([[np.nan]], F32)])
def test_weights_without_a_range(w: Any) -> None:
    with pytest.raises(ValueError, match="weight 'fc' must be finite and not empty"):
        weight_qparams(w, Weights(), block=None, contract=preset("ort"), name="fc")


@pytest.mark.parametrize("name", ["w8_weight_only", "w8a8_dynamic"])
def test_the_weight_without_a_range_is_named(name: str) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    g = b.graph([b.node("MatMul", [x, b.constant("bad", f32([[np.inf], [1]]))], name="y")])
    with pytest.raises(ValueError, match="weight 'bad' must be finite and not empty, got 1 NaN or"):
        quantize_graph(g, recipe(name))


def test_a_constant_weight_has_its_shape_and_its_bias() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 2))
    m, t = b.constant("m", np.eye(2, dtype=F32)), b.constant("t", np.ones((1, 2, 2), F32))
    nodes = {
        "matrix": b.node("MatMul", [x, m]),
        "stack": b.node("MatMul", [x, t]),
        "computed": b.node("MatMul", [x, x]),
        "add": b.node("Add", [x, m]),
    }
    g = b.graph(list(nodes.values()))
    found = [k for k, n in zip(nodes, g.nodes, strict=True) if has_constant_weight(g, n)]
    assert found == ["matrix"], found


def _channels(scale: list[float]) -> QParams:
    n = len(scale)
    return QParams(f32(scale).reshape(n, 1), np.zeros((n, 1), np.int32), (1, 2), "int8")


def test_names_of_constants() -> None:
    b, codes = Builder("g"), i8([[1, 2], [3, 4]])
    assert add_codes(b, "w", codes, _channels([1, 2]), suffix="n") == "w"
    assert add_codes(b, "w", codes, _channels([1, 2]), suffix="n") == "w", "the same, once"
    assert add_codes(b, "w", codes, _channels([1, 4]), suffix="n") == "w/n", "another scale"
    assert add_codes(b, "w", -codes, _channels([1, 2]), suffix="m") == "w/m", "other codes"
    assert add_codes(b, "w", codes, _channels([1, 4]), suffix="n") == "w/n", "the same again"
    assert b.values["w/n"].quant == Quant("w/n/scale", 0, (1, 2)), b.values["w/n"]
    zeros = QParams(f32([[1], [1]]), i32([[0], [3]]), (1, 2), "uint4")
    add_codes(b, "v", u8([[1, 2], [3, 4]]), zeros)
    assert b.values["v"].quant == Quant("v/scale", "v/zero_point", (1, 2)), b.values["v"]
    one = QParams(F32(0.5), np.int32(3), None, "int8")
    add_codes(b, "u", codes, one)
    assert b.values["u"].quant == Quant(0.5, 3), "numbers, not tensors"


def test_a_float_beside_codes_of_its_name() -> None:
    b = Builder("g")
    b.constant("w", np.ones(2, F32))
    g = b.graph([b.node("Add", [b.input("x", ("N", 2)), "w"])])
    made = Builder("h")
    add_codes(made, "w", i8([1, 2]), QParams(F32(1), np.int32(0), None, "int8"))
    assert add_float(made, g, "w") == "w/float", "the name is taken by codes"
    assert add_float(made, g, "w") == "w/float", "and added once"
    assert add_float(made, g, "x") == "x", "no constant: its name"
