"""Weights of a float model and of one made from it."""

import math

import numpy as np

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.model.metrics import moments
from refquant.model.quantize import quantize
from refquant.model.reals import reals
from refquant.model.recipe import recipe
from refquant.report.weights import weight, weights_behind
from tests.refquant.evaluation.two_models import small_net
from tests.refquant.model.literals import f32

X = {"x": np.random.default_rng(4).standard_normal((64, 4)).astype(np.float32)}


def test_weights_are_those_the_nodes_read() -> None:
    net, small = small_net(), quantize(small_net(), recipe("int8_static"), X)
    graphs = (net, small)
    assert weights_behind(graphs, ["relu", "y"]) == ["w1", "w2"], "the Relu is in the product of B"
    assert weights_behind(graphs, ["y", "y"]) == ["w2"], "each once"
    assert weights_behind((small, net), ["y", "nobody"]) == ["w2"], "either way round"
    b = Builder("bias")
    y = b.node("Add", [b.input("x", ("N", 2)), b.constant("c", f32([1, 2]))], name="y")
    g = b.graph([y])
    assert weights_behind((g, g), ["y"]) == [], "a bias is none"


def test_codes_are_compared_by_what_they_mean() -> None:
    net, small = small_net(), quantize(small_net(), recipe("int8_static"), X)
    found = weight((net, small), "w1")
    w = reals(small, "w1", small.constants["w1"])
    assert found.errors == moments(net.constants["w1"], w), f"{found.errors}"
    assert found.dtypes == ("float32", "int8"), f"{found.dtypes}"
    assert found.spread.clip is not None, "codes end"
    assert found.spread.clipped == 0, "min-max clips nothing"
    assert found.channels.tolist() == np.abs(net.constants["w1"]).max(axis=0).tolist(), "columns"
    back = weight((small, net), "w1")
    assert back.dtypes == ("int8", "float32"), "a quantized model may be the reference"
    assert (back.spread.clip, back.spread.clipped) == (None, None), "reals do not end"


def test_a_clipped_weight_is_counted() -> None:
    graphs = []
    for quant in (None, Quant(0.5, 0)):
        b = Builder("g")
        array = f32([[1, 2], [3, 99]]) if quant is None else np.array([[2, 4], [6, 7]], np.int8)
        w = b.constant("w", array, dtype="float32" if quant is None else "int4", quant=quant)
        contract = None if quant is None else preset("ort")
        y = b.node("MatMul", [b.input("x", ("N", 2)), w], name="y", contract=contract)
        graphs.append(b.graph([y]))
    found = weight((graphs[0], graphs[1]), "w")
    assert found.spread.clip == ((-4, 3.5), (-4, 3.5)), f"{found.spread.clip}"
    assert found.spread.clipped == 1, "the 99; 3.5 and half a step are enough for 3"


def conv(values: object, name: str = "w") -> Graph:
    b = Builder("c")
    w = b.constant(name, f32(values))
    return b.graph([b.node("Conv", [b.input("x", ("N", 1, 3, 3)), w], name="y")])


def test_channels_of_a_convolution_are_those_it_makes() -> None:
    g = conv([[[[1, -2]]], [[[8, 0]]]])
    assert weight((g, g), "w").channels.tolist() == [2, 8], "the first axis"


def test_what_only_one_has_or_is_not_finite_has_no_error() -> None:
    one, other = conv([[[[1, 2]]]]), conv([[[[1, 2]]]], "v")
    assert weights_behind((one, other), ["y"]) == ["v", "w"], "both"
    for name in "vw":
        found = weight((one, other), name)
        assert found.errors is None, name
        assert sorted(map(str, found.dtypes)) == ["None", "float32"], f"{found.dtypes}"
    odd = weight((one, conv([[[[1, math.nan]]]])), "w")
    assert odd.errors is None, "NaN is no distance"
    wide = weight((one, conv([[[[1, 2, 3]]]])), "w")
    assert (wide.errors, wide.dtypes) == (None, (None, "float32")), "of another shape"
