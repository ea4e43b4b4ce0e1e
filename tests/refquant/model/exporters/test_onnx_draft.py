"""Names of what is made, and constants that are there once."""

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.model.build import Builder
from refquant.model.exporters.onnx_draft import Draft, NoForm


def _draft() -> Draft:
    b = Builder("g")
    w = b.constant("w", np.zeros((2, 2), np.int8))
    x = b.input("x", ("N", 2), dtype="uint8")
    return Draft(b.graph([b.node("MatMulInteger", [x, w], name="y", contract=_ort())]), "qdq")


def _ort() -> Contract:
    return preset("ort")


def test_equal_constants_are_one_and_others_get_a_name() -> None:
    d = _draft()
    assert d.number("s", 1, "float32") == d.number("s", 1.0, "float32") == "s", "the same"
    assert d.number("s", 2, "float32") == "s_", "another number"
    assert d.number("s", 1, "int8") == "s__", "another type"
    assert d.number("w", 1, "int8") == "w_", "a name of the graph stays the graph's"


def test_what_is_written_for_four_bits_is_held_in_bytes() -> None:
    d = _draft()
    tensor = d.constants[d.number("z", [-8, 7], "int4")]
    assert (tensor.array.dtype.name, tensor.dtype) == ("int8", "int4"), f"{tensor}"


def test_a_constant_has_one_type() -> None:
    d = _draft()
    assert d.own("w") == d.own("w", "int8") == "w", "once"
    with pytest.raises(NoForm, match="'w' is read as int8 and as int4"):
        d.own("w", "int4")


def test_the_opset_is_that_of_the_newest_operator() -> None:
    d = _draft()
    d.add("Relu", ["a"], "b")
    assert d.opset == 21, "types of 4 and 16 bits"
    d.add("Attention", ["a"], "c", since=23)
    assert d.opset == 23, "Attention"
