"""VALUE and QUANT: every rule of section 2, at its edges; errors name the value."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant_runtime import FormatError, UnsupportedError
from refquant_runtime.graph import Value
from refquant_runtime.read_values import ValueReader

TENSORS: dict[str, NDArray[Any]] = {
    "w": np.zeros((3, 4), np.int8),
    "packed": np.array([0x21, 0x0F], np.uint8),  # three codes of four bits
    "s31": np.full((3, 1), 0.5, np.float32),
    "z31": np.zeros((3, 1), np.int32),
    "s13": np.ones((1, 3), np.float32),
    "zero": np.array([[0.5], [0], [1]], np.float32),
    "nan": np.array([[0.5], [np.nan], [1]], np.float32),
    "minus": np.array([[0.5], [-1], [1]], np.float32),
    "high": np.array([[0], [128], [0]], np.int32),
}


def read(name: str, entry: Any, *, signs: bool = False) -> Value:
    return ValueReader(Path("m.rq"), TENSORS, {}, signs=signs).value(name, entry)


def codes(scale: Any, zero: Any = 0, dtype: str = "int8", **more: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": [2], "quant": {"scale": scale, "zero_point": zero} | more}


def blocks(scale: Any, zero: Any, block: Any) -> dict[str, Any]:
    quant = {"scale": scale, "zero_point": zero, "block_shape": block}
    return {"dtype": "int8", "shape": [3, 4], "quant": quant}


def test_a_value_is_what_its_entry_says() -> None:
    x = read("x", {"dtype": "uint8", "shape": ["N", 3], "quant": {"scale": 0.5, "zero_point": 7}})
    assert (x.dtype, x.shape, x.batched, x.data) == ("uint8", (0, 3), True, None), "N is 0 for now"
    assert x.quant is not None, "it has codes"
    assert (float(x.quant.scale), int(x.quant.zero_point)) == (0.5, 7), "its parameters"
    assert read("x", {"dtype": "float32", "shape": []}).shape == (), "a scalar"
    assert read("w", {"dtype": "int8", "shape": [3, 4]}).data is TENSORS["w"], "a constant"
    assert read("packed", {"dtype": "int4", "shape": [3]}).shape == (3,), "three codes in two bytes"


@pytest.mark.parametrize(
    "scale",
    [0.5, 1, 2147483648, 2**62, 2**63 - 1, 2.0**-126, 0.10000000149011612, 3.4028234663852886e38],
)
def test_a_scale_is_any_float32_also_as_an_integer(scale: float) -> None:
    quant = read("x", codes(scale)).quant
    assert quant is not None, "quantized"
    assert quant.scale.dtype == np.float32, "float32"
    assert float(quant.scale) == float(scale), "exactly its float64"


@pytest.mark.parametrize("zero", [-128, 127])
def test_a_zero_point_is_any_code(zero: int) -> None:
    quant = read("x", codes(0.5, zero)).quant
    assert quant is not None, "quantized"
    assert int(quant.zero_point) == zero, "exactly"


def test_parameters_may_be_tensors_one_a_block() -> None:
    for scale, zero, shape in (("s31", "z31", (3, 1)), ("s31", 0, ()), (0.5, "z31", (3, 1))):
        quant = read("w", blocks(scale, zero, [1, 4])).quant
        assert quant is not None, "quantized"
        assert quant.block_shape == (1, 4), "the block's shape"
        assert quant.zero_point.shape == shape, "a number stays a number"
    assert read("w", blocks("s31", 0, [1, 2**40])).quant is not None, "a block may be too large"


BAD = {
    "no object": (3, "is not a JSON object"),
    "no dtype": ({"shape": []}, r"lacks \['dtype'\]"),
    "unknown key": ({"dtype": "int8", "shape": [], "x": 1}, "unknown key 'x'"),
    "dtype unknown": ({"dtype": "float16", "shape": []}, "'float16' is none of"),
    "dtype list": ({"dtype": ["int8"], "shape": []}, "is none of"),
    "shape no list": ({"dtype": "int8", "shape": 3}, "not a list of at most 6"),
    "rank 7": ({"dtype": "int8", "shape": [1] * 7}, "not a list of at most 6"),
    "size -1": ({"dtype": "int8", "shape": [-1]}, "not an integer >= 0"),
    "size 1.0": ({"dtype": "int8", "shape": [1.0]}, "not an integer >= 0"),
    "size true": ({"dtype": "int8", "shape": [True]}, "not an integer >= 0"),
    "N second": ({"dtype": "int8", "shape": [1, "N"]}, "not an integer >= 0"),
    "too many": ({"dtype": "int8", "shape": ["N", 2**16, 2**15]}, r"2\*\*31 elements"),
    "narrow": ({"dtype": "int4", "shape": [3]}, "int4 is for constants only"),
    "float quant": (codes(0.5, dtype="float32"), "a float32 value cannot be quantized"),
    "no zero point": ({"dtype": "int8", "shape": [], "quant": {"scale": 1.0}}, "lacks"),
    "quant null": ({"dtype": "int8", "shape": [], "quant": None}, "is not a JSON object"),
    "scale 0": (codes(0), "not a finite, normal float32"),
    "scale -1": (codes(-1), "is not positive"),
    "scale subnormal": (codes(2.0**-127), "not a finite, normal float32"),
    "scale no float32": (codes(0.1), "0.1 is not exactly a float32"),
    "scale 1e300": (codes(1e300), "not exactly a float32"),
    "scale 2**24 + 1": (codes(2**24 + 1), "not exactly a float32"),
    "scale true": (codes(True), "neither a number"),
    "scale null": (codes(None), "neither a number"),
    "zero 0.0": (codes(0.5, 0.0), "neither a number"),
    "zero 128": (codes(0.5, 128), r"outside \[-128, 127\]"),
    "zero -1": (codes(0.5, -1, "uint8"), r"outside \[0, 255\]"),
    "zero of int32": (codes(0.5, 1, "int32"), r"outside \[0, 0\]"),
    "zero 2**31": (codes(0.5, 2**31), "not exactly a int32"),
    "block of numbers": (codes(0.5, 0, block_shape=[1]), "goes with named tensors"),
    "block null": (codes(0.5, 0, block_shape=None), "goes with named tensors"),
    "no block": (codes("s31"), "goes with named tensors"),
    "computed": (codes("s31", block_shape=[1]), "only constants may have tensors"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_is_no_value_is_refused(name: str) -> None:
    entry, rule = BAD[name]
    with pytest.raises(FormatError, match=rf"m\.rq: value 'x'.*{rule}"):
        read("x", entry)


BAD_CONSTANTS = {
    "batch": ("w", {"dtype": "int8", "shape": ["N", 4]}, "its shape has an 'N'"),
    "shape": ("w", {"dtype": "int8", "shape": [4, 3]}, r"int8\[3, 4\], expected int8\[4, 3\]"),
    "dtype": ("w", {"dtype": "uint8", "shape": [3, 4]}, "expected uint8"),
    "packed size": ("packed", {"dtype": "int4", "shape": [5]}, r"expected uint8\[3\]"),
    "unused bits": ("packed", {"dtype": "uint2", "shape": [5]}, "unused high bits"),
    "scale absent": ("w", blocks("none", 0, [1, 4]), "'none' is absent"),
    "scale of int32": ("w", blocks("z31", 0, [1, 4]), r"is int32\[3, 1\], expected float32"),
    "zero of int8": ("w", blocks("s31", "w", [1, 4]), "expected int32 or float32"),
    "scales turned": ("w", blocks("s13", 0, [1, 4]), r"float32\[1, 3\], expected float32\[3, 1\]"),
    "blocks short": ("w", blocks("s31", 0, [4]), "does not fit shape"),
    "block 0": ("w", blocks("s31", 0, [1, 0]), "does not fit shape"),
    "block 1.0": ("w", blocks("s31", 0, [1.0, 4]), "does not fit shape"),
    "a scale 0": ("w", blocks("zero", 0, [1, 4]), "not a finite, normal float32"),
    "a scale NaN": ("w", blocks("nan", 0, [1, 4]), "not a finite, normal float32"),
    "a scale -1": ("w", blocks("minus", 0, [1, 4]), "is not positive"),
    "a zero 128": ("w", blocks("s31", "high", [1, 4]), r"outside \[-128, 127\]"),
}


@pytest.mark.parametrize("name", BAD_CONSTANTS)
def test_a_constant_that_does_not_fit_is_refused(name: str) -> None:
    constant, entry, rule = BAD_CONSTANTS[name]
    with pytest.raises(FormatError, match=rf"m\.rq: value '{constant}'.*{rule}"):
        read(constant, entry)


def test_what_is_valid_but_not_implemented_is_said_so() -> None:
    with pytest.raises(UnsupportedError, match=r"m\.rq: value 'x' quant: negative scales"):
        read("x", codes(-0.5), signs=True)
    with pytest.raises(UnsupportedError, match=r"m\.rq: value 'x': the sizes of shape \[0, 2147"):
        read("x", {"dtype": "int8", "shape": [0, 2**31]})
    with pytest.raises(FormatError, match="has an empty name"):
        read("", {"dtype": "int8", "shape": []})
