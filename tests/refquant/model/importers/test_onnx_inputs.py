"""Which sizes become N, T, a number, or an error that says what to give."""

from typing import Any

import ml_dtypes
import numpy as np
import pytest

from refquant.model.importers.onnx_inputs import fixed_inputs, input_shapes
from refquant.model.importers.onnx_model import OnnxInput
from refquant.model.importers.onnx_wire import OnnxFormatError


def ask(dims: dict[str, Any], shapes: dict[str, Any] | None = None) -> Any:
    inputs = [OnnxInput(name, "float32", d) for name, d in dims.items()]
    return {name: shape for name, (shape, _) in input_shapes(inputs, shapes or {}).items()}


@pytest.mark.parametrize(
    ("dims", "shapes", "expected"),
    [
        ({"x": (1, 3)}, {}, {"x": (1, 3)}),
        ({"x": ("b", 3)}, {}, {"x": ("N", 3)}),
        ({"x": (None, 3)}, {}, {"x": ("N", 3)}),
        ({"x": ("b", "s")}, {}, {"x": ("N", "T")}),
        ({"x": ("b", "s"), "y": ("b", "s")}, {}, {"x": ("N", "T"), "y": ("N", "T")}),
        ({"x": ("b", "s", 8), "y": ("c", 4)}, {}, {"x": ("N", "T", 8), "y": ("N", 4)}),
        ({"x": (1, 3)}, {"x": ["N", 3]}, {"x": ("N", 3)}),
        ({"x": ("b", 3, "h", "w")}, {"x": ["N", 3, 8, 9]}, {"x": ("N", 3, 8, 9)}),
        ({"x": None}, {"x": [2, 2]}, {"x": (2, 2)}),
        ({"x": ()}, {}, {"x": ()}),
    ],
)
def test_sizes(dims: Any, shapes: Any, expected: Any) -> None:
    assert ask(dims, shapes) == expected, f"{dims} with {shapes}"


@pytest.mark.parametrize(
    ("dims", "what"),
    [
        (
            {"x": ("b", 3, "h", "w")},
            r"give them, for example --shape x=1,3,1,1, in Python shapes=\{'x': \[1, 3, 1, 1\]\}",
        ),
        ({"x": ("b", 3), "h": (1, 4)}, "input 'x' has sizes without a number"),
        ({"x": ("b", "s", "c")}, "sizes without a number"),
        ({"x": ("b", "s"), "y": ("b", "t")}, "sizes without a number"),
        ({"x": ("b", None)}, "sizes without a number"),
        ({"x": None}, "input 'x' has no sizes"),
    ],
)
def test_sizes_that_must_be_given(dims: Any, what: str) -> None:
    with pytest.raises(OnnxFormatError, match=what):
        ask(dims)


@pytest.mark.parametrize("given", [[0, 3], ["N"], [1, 2, 3], [1, "H"], [1.0, 3], [-1, 3]])
def test_shapes_that_are_none(given: Any) -> None:
    with pytest.raises(ValueError, match=r"shapes\['x'\] is 2 sizes"):
        ask({"x": ("b", 3)}, {"x": given})


def test_a_letter_in_another_place() -> None:
    with pytest.raises(OnnxFormatError, match="sizes without a number"):
        ask({"x": (1, "b")}, {"x": [1, "N"]})


RATE = OnnxInput("sr", "int64", ())
STATE = OnnxInput("h", "float32", (2, 1, 3))


@pytest.mark.parametrize(
    ("given", "input_", "wanted"),
    [
        (np.array(16000), RATE, np.array(16000)),
        (np.float32(16000), RATE, np.array(16000)),
        (np.array(0), STATE, np.zeros((2, 1, 3), np.float32)),
        (np.arange(6), STATE, np.arange(6, dtype=np.float32).reshape(2, 1, 3)),
        (np.array(0.1), STATE, np.full((2, 1, 3), np.float32(0.1))),
        (np.ones((4, 2)), OnnxInput("x", "float32", ("a", 2)), np.ones((4, 2), np.float32)),
        (np.ones(7), OnnxInput("x", "bool", None), np.ones(7, bool)),
        (np.array(-8), OnnxInput("z", "int4", ()), np.array(-8, np.int8)),
        (
            np.array([15, 0], ml_dtypes.uint4),
            OnnxInput("z", "uint4", (2,)),
            np.array([15, 0], np.uint8),
        ),
        (np.array(3, ml_dtypes.uint2), OnnxInput("z", "uint2", ()), np.array(3, np.uint8)),
        (
            np.array([1.5], ml_dtypes.bfloat16),
            OnnxInput("x", "bfloat16", (1,)),
            np.array([1.5], np.float32),
        ),
    ],
)
def test_a_fixed_input_has_its_type_and_sizes(given: Any, input_: OnnxInput, wanted: Any) -> None:
    item = fixed_inputs([input_], {input_.name: given})[input_.name]
    assert item.array.tolist() == wanted.tolist(), f"{item.array}"
    assert (item.array.dtype, item.dtype) == (wanted.dtype, input_.dtype), "its type"


@pytest.mark.parametrize(
    ("given", "input_", "reason"),
    [
        (np.array(0.5), RATE, "sr'] is int64, which does not hold 0.5"),
        (np.array(np.nan), RATE, "which does not hold nan"),
        (np.array(300), OnnxInput("q", "uint8", ()), "is uint8, which does not hold 300"),
        (np.array(-1), OnnxInput("q", "uint8", ()), "does not hold -1"),
        (np.array(1 << 53 | 1), OnnxInput("x", "float32", ()), "does not hold 9007199254740993"),
        (np.array("a"), RATE, "is int64, got <U1; give numbers"),
        (np.array(1), OnnxInput("x", "string", ()), "is string, which no constant here can be"),
        (np.float32(1), OnnxInput("z", "float8e4m3fn", ()), "which no constant here can be"),
        (np.array(8), OnnxInput("z", "int4", ()), "is int4, which does not hold 8"),
        (np.array(-1), OnnxInput("z", "uint2", ()), "does not hold -1"),
        (np.array(4, ml_dtypes.uint4), OnnxInput("z", "uint2", ()), "does not hold 4"),
        (np.zeros(5), STATE, r"h'] has the sizes \[2, 1, 3\], got \[5\]; give it all"),
        (np.array(1), OnnxInput("x", "float32", ("a", 2)), r"has the sizes \['\?', 2\], got \[\]"),
        (np.array(1), OnnxInput("x", "float32", (1 << 40,)), "give it all its numbers"),
    ],
)
def test_what_cannot_be_fixed_says_why(given: Any, input_: OnnxInput, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        fixed_inputs([input_], {input_.name: given})
