"""Layers of dynamic range: what LiteRT measured, which contract each has, what is refused."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_hybrid_nets import CASES, GOLDEN, IMAGE, net

CONTRACTS = {
    ("FULLY_CONNECTED", "xnnpack"): ("MatMulDynamicRange", "xnnpack_hybrid", 0),
    ("FULLY_CONNECTED", "tflite_reference"): ("MatMulDynamicRange", "tflite_hybrid", 1),
    ("FULLY_CONNECTED, asymmetric", "xnnpack"): ("MatMulDynamicRange", "xnnpack_hybrid", 0),
    ("FULLY_CONNECTED, asymmetric", "tflite_reference"): (
        *("MatMulDynamicRange", "tflite_hybrid"), 0,
    ),
    ("CONV_2D", "xnnpack"): ("ConvDynamicRange", "xnnpack_hybrid", 0),
    ("CONV_2D", "tflite_reference"): ("ConvDynamicRange", "tflite_hybrid_conv", 0),
    ("CONV_2D, one scale", "xnnpack"): ("ConvDynamicRange", "xnnpack_hybrid", 0),
    ("CONV_2D, one scale", "tflite_reference"): ("ConvDynamicRange", "tflite_hybrid", 1),
    ("CONV_2D, pixels", "xnnpack"): ("MatMulDynamicRange", "xnnpack_hybrid", 0),
    ("CONV_2D, pixels", "tflite_reference"): ("ConvDynamicRange", "tflite_hybrid_conv", 0),
    ("DEPTHWISE_CONV_2D", "xnnpack"): ("ConvDynamicRange", "tflite_hybrid_depthwise", 0),
    ("DEPTHWISE_CONV_2D", "tflite_reference"): ("ConvDynamicRange", "tflite_hybrid", 0),
}  # fmt: skip


@pytest.mark.parametrize(("case", "tool"), GOLDEN)
def test_it_is_what_litert_measured(case: str, tool: str) -> None:
    graph = tflite_graph(net(*CASES[case]), path="net", contract=tool)
    x = IMAGE.reshape(1, 8) if case.startswith("FULLY") else IMAGE
    made = run(graph, {"x": x})["y"].ravel()[:5].tolist()
    assert made == GOLDEN[case, tool], "to the bit"


@pytest.mark.parametrize(("case", "tool"), CONTRACTS)
def test_each_kernel_has_its_contract(case: str, tool: str) -> None:
    graph = tflite_graph(net(*CASES[case]), path="net", contract=tool)
    (node,) = [n for n in graph.nodes if n.op.endswith("DynamicRange")]
    found = node.op, node.contract, node.attributes["symmetric"]
    assert found == CONTRACTS[case, tool], f"{case} by {tool}"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"zero_point": 3}, "FULLY_CONNECTED \\('y'\\): has weights with a zero point"),
        ({"scale": [0.0]}, "'w' with the scale 0.0, which is not positive, finite and normal"),
        ({"scale": [np.nan]}, "'w' with the scale nan"),
        ({"scale": [np.inf]}, "'w' with the scale inf"),
        ({"scale": [1.0, 2.0]}, "2 scales"),
    ],
)
def test_odd_parameters_are_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(net("FULLY_CONNECTED", False, 0, **given), path="odd")


@pytest.mark.parametrize("op", ["CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"])
def test_codes_without_scales_mean_nothing(op: str) -> None:
    with pytest.raises(ModelFileError, match="int8 weights without scales"):
        tflite_graph(net(op, False, 2, scale=[]), path="none", contract="tflite_reference")


def test_a_depthwise_layer_with_one_scale_is_what_litert_refuses_too() -> None:
    with pytest.raises(ModelFileError, match="one scale for all of its groups"):
        tflite_graph(net("DEPTHWISE_CONV_2D", False, 2), path="one")


def test_without_a_bias_nothing_is_added() -> None:
    with_zeros = net("CONV_2D", True, 2, bias=np.zeros(5))
    graph = tflite_graph(with_zeros, path="net")
    shifted = tflite_graph(net("CONV_2D", True, 2), path="net")
    a, b = (run(g, {"x": IMAGE})["y"] for g in (graph, shifted))
    assert not np.array_equal(a, b), "the bias counts"
