from dataclasses import replace

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.validate import GraphError

ONNX = preset("onnx")


def test_a_node_is_named_after_its_operator_and_output_after_it() -> None:
    b = Builder("g")
    assert b.node("Relu", [b.input("x", ("N", 2))]) == "relu_0", "operator and position"
    g = b.graph(["relu_0"], meta={"by": "hand"})
    assert g.nodes[0].name == g.nodes[0].outputs[0] == "relu_0", "one name for both"
    assert g.meta == {"by": "hand"}, "meta is kept"


def test_movement_and_relu_keep_codes_and_the_rest_is_float32() -> None:
    b = Builder("g")
    q = Quant(0.5, 0)
    x = b.input("x", ("N", 2), dtype="int8", quant=q)
    h = b.node("Relu", [b.node("Reshape", [x], attributes={"shape": [0, 2]})], contract=ONNX)
    assert (b.values[h].dtype, b.values[h].quant) == ("int8", q), "codes pass"
    y = b.node("DequantizeLinear", [h], contract=ONNX)
    assert (b.values[y].dtype, b.values[y].quant) == ("float32", None), "a real"
    assert b.graph([y]).nodes[0].attributes["shape"] == (0, 2), "a list became a tuple"


def test_dynamic_quantization_has_three_outputs() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    names = b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=ONNX)
    assert names == ("q", "s", "z"), "as asked"
    assert [b.values[n].dtype for n in names] == ["uint8", "float32", "uint8"], "of its dtypes"
    b.graph(["q"])


def test_what_cannot_be_is_refused_at_once() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    with pytest.raises(ValueError, match="'x' is there already"):
        b.input("x", ("N", 2))
    with pytest.raises(ValueError, match="dtype is one of"):
        b.constant("c", np.zeros(2))
    with pytest.raises(ValueError, match="do not broadcast"):
        b.node("Add", [x, b.constant("c", np.zeros(3, np.float32))])
    with pytest.raises(ValueError, match="no attribute"):
        b.node("Add", [x, x], attributes={"axis": 1})
    other = preset("tflite_builtin")
    b.node("Reshape", [x], attributes={"shape": (0, 2)})
    b.node("QuantizeLinear", [x], contract=ONNX, dtype="int8", quant=Quant(0.5, 0), name="q")
    with pytest.raises(ValueError, match="two contracts are called 'onnx'"):
        b.node("Relu", ["q"], contract=replace(other, name="onnx"))
    with pytest.raises(GraphError, match="output 'none'"):
        b.graph(["none"])


def test_a_made_name_is_never_a_reserved_one() -> None:
    b = Builder("g", reserved={"w/scale", "w/scale_", "other"})
    assert b.free("w/scale") == "w/scale__", "the first that nobody has"
    assert b.free("w/scale") == "w/scale__", "the same when asked again"
    assert b.free("v/scale") == "v/scale", "as it is, where it is free"
