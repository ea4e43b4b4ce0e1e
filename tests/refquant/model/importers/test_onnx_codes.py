"""Scales and zero points of ONNX as meanings of values: per tensor, per axis, in blocks."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.importers.onnx_codes import (
    ORT_ELEMENTWISE,
    coded_constant,
    meaning,
    number_of,
    requantized,
    table_of,
)
from refquant.model.importers.onnx_scope import Scope, Unsupported
from refquant.model.reals import reals


def scope() -> Scope:
    return Scope(Builder("g"), 21, frozenset(), contract=preset("ort"))


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_a_scale_for_each_index_of_an_axis(axis: int) -> None:
    codes = np.arange(-6, 6, dtype=np.int8).reshape(3, 4)
    count = codes.shape[axis]
    scale, zero = np.float32(0.5) * np.arange(1, count + 1, dtype=np.float32), np.arange(count)
    s = scope()
    name = coded_constant(s, "w", codes, "int8", scale, zero.astype(np.int8), axis=axis)
    wide = [-1 if i == axis % 2 else 1 for i in range(2)]
    expected = (codes - zero.reshape(wide)) * scale.reshape(wide)
    assert np.array_equal(reals(s.view(), name, codes), expected), f"axis {axis}"


def test_blocks_and_the_same_constant_twice() -> None:
    codes, scale = np.ones((5, 2), np.int8), np.array([[1, 2], [3, 4], [5, 6]], np.float32)
    s = scope()
    name = coded_constant(s, "w", codes, "int4", scale, None, axis=0, block_size=2)
    expected = np.repeat(scale, 2, 0)[:5]
    assert np.array_equal(reals(s.view(), name, codes), expected), "the last block is ragged"
    one = np.array(1, np.float32)
    again = [coded_constant(s, "v", codes, "int8", scale_, None) for scale_ in (one, one, one * 2)]
    assert again == ["v", "v", "v_"], "one meaning, one constant"


def test_the_scale_of_a_bias_is_normal() -> None:
    s = scope()
    tiny = np.array([1e-40, 1.0], np.float32)
    coded_constant(s, "b", np.zeros(2, np.int32), "int32", tiny, None, axis=0)
    assert s.b.constants["b/scale"].min() == np.float32(2.0**-126), "as a file needs it"


def test_what_is_refused() -> None:
    s, codes = scope(), np.zeros((2, 3), np.int8)
    one = np.array(1, np.float32)
    with pytest.raises(Unsupported, match=r"scales .4. for codes"):
        coded_constant(s, "w", codes, "int8", np.ones(4, np.float32), None)
    with pytest.raises(Unsupported, match="axis 5"):
        coded_constant(s, "w", codes, "int8", np.ones(3, np.float32), None, axis=5)
    with pytest.raises(Unsupported, match="codes of float8e4m3fn"):
        coded_constant(s, "w", codes, "float8e4m3fn", one, None)
    with pytest.raises(Unsupported, match="a scale of float16"):
        meaning(np.array(1, np.float16), None)
    with pytest.raises(Unsupported, match="the zero point is one number"):
        meaning(one, np.zeros(2, np.int8))
    assert number_of(None, "the zero point") == 0, "absent is 0"
    wide = s.b.input("x", ("N", 2), dtype="int16", quant=Quant(1.0, 0))
    with pytest.raises(Unsupported, match="is a table, these are int16"):
        table_of(s, "Relu", {}, wide, "int8", Quant(1.0, 0))


def test_codes_on_their_own_ruler_stay() -> None:
    s = scope()
    x = s.b.input("x", ("N", 2), dtype="uint8", quant=Quant(0.5, 3))
    assert requantized(s, x, "y", "uint8", Quant(0.5, 3)) == x, "no node"
    assert requantized(s, x, "y", "int8", Quant(0.25, 0)) == "y", "a table"
    assert s.b.nodes[0].op == "Requantize", "of f(x) = x"


def test_what_onnxruntime_does_elsewhere_is_ort_but_for_four_axes() -> None:
    ours, theirs = ORT_ELEMENTWISE.to_json(), preset("ort").to_json()
    apart = {axis for axis in ours if ours[axis] != theirs[axis]}
    assert apart == {"add", "requantize", "softmax", "zero_point_at"}, f"{apart}"
