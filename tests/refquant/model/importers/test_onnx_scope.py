"""What a name stands for: constants on demand, integers that fit, transpositions that cancel."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import (
    Filled,
    Known,
    Reals,
    Scope,
    Seen,
    Turned,
    Unsupported,
)

NODE = OnnxNode("n", "Add", ("a", "b"), ("y",))


def scope() -> Scope:
    s = Scope(Builder("g"), 17, frozenset({"out"}), contract=preset("ort"))
    s.items["x"] = Seen(s.b.input("x", ("N", 3, 4)), "float32")
    return s


def test_a_constant_is_made_where_it_is_needed_once() -> None:
    s = scope()
    s.items["c"] = Known(np.arange(3), "int64")
    assert "c" not in s.b.constants, "not yet"
    assert [s.value_of("c"), s.value_of("c")] == ["c", "c"], "the same one"
    assert s.b.constants["c"].dtype == np.int32, "our integers"
    s.items["out"] = Known(np.zeros(1, np.float32), "float32")
    assert s.value_of("out") == "out/constant", "an output's name is for what produces it"
    s.items["t"] = Known(np.array([True]), "bool")
    assert s.b.constants[s.value_of("t")].dtype == np.uint8, "truths"


@pytest.mark.parametrize(
    ("item", "what"),
    [
        (Known(np.array([2**40]), "int64"), "integers beyond int32"),
        (Known(np.array(["N"], object), "int64"), "a size that only a run knows"),
        (Known(np.zeros(1), "float64"), "is float64; only float32"),
        (Filled(0.0, "float32", ("N", 2)), "a size that only a run knows"),
    ],
)
def test_what_is_no_value(item: Known | Filled, what: str) -> None:
    s = scope()
    s.items["c"] = item
    with pytest.raises(Unsupported, match=what):
        s.value_of("c")


def test_reals_are_computed_at_most_once_and_listed() -> None:
    s = scope()
    q = s.b.input("q", ("N", 2), dtype="uint8", quant=Quant(0.5, 3))
    s.items["r"] = Reals(q, OnnxNode("dq", "DequantizeLinear", ("q",), ("r",)))
    s.current, s.why = NODE, "no reason"
    assert s.value_of("r") == s.value_of("r"), "one DequantizeLinear"
    assert isinstance(s.item("r"), Reals), "another reader may use the codes"
    assert s.unfused == [
        {"node": "dq", "op": "DequantizeLinear", "reason": "Add 'n' needs reals: no reason"}
    ], "who, and why"


def test_reals_of_constants_are_constants() -> None:
    s = scope()
    w = s.b.constant("w", np.array([3, 5], np.int8), quant=Quant(0.5, 1))
    s.items["r"] = Reals(w, OnnxNode("dq", "DequantizeLinear", ("w",), ("r",)))
    assert s.b.constants[s.value_of("r")].tolist() == [1.0, 2.0], "dequantized at import"


def test_a_turned_value_knows_its_shape() -> None:
    s = scope()
    s.items["t"] = Turned("x", "float32", (1, 0, 2))
    assert s.shape("t") == (3, "N", 4), "as ONNX sees it"
    with pytest.raises(ValueError, match="moves the batch N from axis 0"):
        s.value_of("t")


def test_inputs_that_must_be_known() -> None:
    s = scope()
    s.items |= {"a": s.items["x"], "b": Known(np.array([1, 2]), "int64")}
    assert s.ints(NODE, 1, "axes") == (1, 2), "a list"
    assert s.ints(NODE, 2, "axes") is None, "absent"
    with pytest.raises(Unsupported, match=r"axes \(input 0\) must be a constant"):
        s.ints(NODE, 0, "axes")
    with pytest.raises(Unsupported, match="input 1 is int64; only float32"):
        s.real(NODE, 1)
