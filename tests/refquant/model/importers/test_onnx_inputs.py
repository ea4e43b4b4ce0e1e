"""Which sizes become N, T, a number, or an error that says what to give."""

from typing import Any

import pytest

from refquant.model.importers.onnx_inputs import input_shapes
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
        ({"x": ("b", 3, "h", "w")}, r"give them, for example shapes=\{'x': \[1, 3, 1, 1\]\}"),
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
