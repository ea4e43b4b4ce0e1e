"""Layers with weights: what their weights, windows and scales become."""

from typing import Any

import numpy as np
import pytest

from refquant.model.importers.tflite import tflite_graph
from refquant.model.importers.tflite_layers import window
from refquant.model.importers.tflite_model import TfliteOperator
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model


def option(**options: Any) -> TfliteOperator:
    return TfliteOperator(0, "CONV_2D", (0, 1), (2,), options)


@pytest.mark.parametrize(
    ("size", "k", "stride", "dilation", "pads"),
    [(5, 3, 1, 1, (1, 1)), (5, 3, 2, 1, (1, 1)), (6, 3, 2, 1, (0, 1)), (4, 1, 3, 1, (0, 0)),
     (7, 3, 1, 2, (2, 2)), (5, 2, 1, 1, (0, 1)), (49, 10, 2, 1, (4, 5))],
)  # fmt: skip
def test_same_padding_puts_the_odd_element_behind(
    size: int, k: int, stride: int, dilation: int, pads: tuple[int, int]
) -> None:
    o = option(Padding=0, StrideH=stride, StrideW=1, DilationHFactor=dilation)
    found = window(o, (size, 9), (k, 1))
    assert found["pads"] == (pads[0], 0, pads[1], 0), "ceil(size / stride) outputs"
    valid = window(option(Padding=1, StrideH=stride, StrideW=1), (size, 9), (k, 1))
    assert valid["pads"] == (0, 0, 0, 0), "VALID pads nothing"


def layer(**changes: Any) -> bytes:
    """A FULLY_CONNECTED with something wrong."""
    m = Model()
    x = m.tensor((1, 4), scale=0.5, name="x")
    given: dict[str, Any] = {"values": np.ones((3, 4)), "scale": 0.1, "dtype": "int8", "axis": 0}
    given |= changes.pop("w", {})
    w = m.tensor((3, 4), **given)
    b = m.tensor((3,), changes.pop("bias", "int32"), values=[0, 0, 0])
    y = m.tensor((1, 3), **{"scale": 1.0, "name": "y", **changes.pop("y", {})})
    m.op("FULLY_CONNECTED", [x, w, b], [y], **changes)
    return m.data([x], [y])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"WeightsFormat": 1}, "has shuffled weights"),
        ({"w": {"values": None}}, "reads tensor 1 before it is computed"),
        ({"w": {"dtype": "int16"}}, "has weights of int16, not int8"),
        ({"w": {"scale": None}}, "has int8 weights without scales"),
        ({"w": {"scale": [0.1] * 3, "zero_point": [0] * 3, "axis": 1}}, "3 scales along axis 1"),
        ({"w": {"scale": [0.1] * 2, "zero_point": [0] * 2}}, "2 scales along axis 0"),
        ({"w": {"scale": np.inf}}, "which is not positive, finite and normal"),
        ({"y": {"scale": 0.0}}, "which is not positive, finite and normal"),
        ({"bias": "float32"}, "has a bias of float32, not int32"),
        ({"FusedActivationFunction": 4}, "has the fused activation tanh"),
        ({"y": {"dtype": "float32", "scale": None}}, "codes on one side and reals on the other"),
    ],
)
def test_what_is_not_known_says_so(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelFileError) as caught:
        tflite_graph(layer(**changes), path="m.tflite")
    assert message in str(caught.value), f"{changes}"


def test_scales_stand_along_the_rows_that_they_are_of() -> None:
    for axes, shape, block in ((2, (3, 1), (1, 4)), (3, (1, 3), (4, 1))):
        m = Model()
        inner = (1, 4) if axes == 2 else (1, 2, 4)
        x = m.tensor(inner, scale=0.5, name="x")
        w = m.tensor((3, 4), values=np.arange(12), scale=[0.1, 0.2, 0.4], zero_point=[0] * 3)
        y = m.tensor((*inner[:-1], 3), scale=1.0, name="y")
        m.op("FULLY_CONNECTED", [x, w, -1], [y], KeepNumDims=axes == 3)
        g = tflite_graph(m.data([x], [y]), path="m.tflite")
        quant = g.values["y/weight"].quant
        assert quant is not None, "codes"
        assert quant.block_shape == block, "one output channel a block"
        assert g.constants[str(quant.scale)].shape == shape, f"{axes} axes"


def test_weights_with_a_zero_point_go_back_to_litert() -> None:
    g = tflite_graph(layer(w={"zero_point": 3}), path="m.tflite")
    assert [n.contract for n in g.nodes] == ["tflite_builtin"], "XNNPACK does not take them"
    g = tflite_graph(layer(w={"zero_point": 3}), path="m.tflite", contract="tflite_reference")
    assert [n.contract for n in g.nodes] == ["tflite_reference_fc"], "the reference does"
