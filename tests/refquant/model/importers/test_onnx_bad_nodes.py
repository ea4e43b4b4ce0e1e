"""Nodes with numbers that mean nothing: each is one line of the error, and none is another node."""

from typing import Any

import numpy as np
import pytest

from refquant.model.importers.onnx_import import OnnxUnsupportedError, import_onnx
from refquant.model.importers.onnx_wire import OnnxFormatError
from tests.refquant.model.importers.onnx_models import model, node

I64 = np.int64
PLANE = ["N", 2, 8, 8]
ONES = np.ones((2, 4, 3, 3), np.float32)


def refused(op: str, attributes: Any, held: Any, *, opset: int = 17, sizes: Any = None) -> str:
    """Return why the one node is refused; constants become its inputs 1, 2, ..., None: absent."""
    names = ["x", *("" if array is None else f"k{i}" for i, array in enumerate(held))]
    constants = {f"k{i}": array for i, array in enumerate(held) if array is not None}
    made = model(
        [node(op, names, ["y"], **attributes)], {"x": sizes or ["N", 3]}, ["y"], constants,
        opset=opset,
    )  # fmt: skip
    with pytest.raises(OnnxUnsupportedError) as caught:
        import_onnx(made.SerializeToString())
    head, *lines = str(caught.value).splitlines()
    assert (head, len(lines)) == ("1 nodes cannot be imported:", 1), "one node, one line"
    start = f"  n_y ({op}): "
    assert lines[0].startswith(start), "the node is named"
    return lines[0].removeprefix(start)


PLACE = np.array([0, 1])


@pytest.mark.parametrize(("op", "attributes", "held"), [
    ("Gather", {"axis": 2}, [PLACE]), ("Gather", {"axis": -3}, [PLACE]),
    ("Softmax", {"axis": 7}, []), ("LogSoftmax", {"axis": -3}, []), ("Split", {"axis": 2}, []),
    ("LayerNormalization", {"axis": 2}, [np.ones(3, np.float32)]),
    ("Slice", {}, [np.array([0]), np.array([1]), np.array([5])]),
    ("Slice", {}, [np.array([0]), np.array([1]), np.array([-4])]),
    ("Concat", {"axis": 7}, []), ("ArgMax", {"axis": 7}, []), ("Flatten", {"axis": 3}, []),
    ("ReduceMean", {"axes": [5]}, []),
])  # fmt: skip
def test_an_axis_that_is_not_there_is_not_another(op: str, attributes: Any, held: Any) -> None:
    given = attributes.get("axis", attributes.get("axes", [None])[0])
    given = given if given is not None else held[2].item()
    top = 2 if op == "Flatten" else 1
    assert refused(op, attributes, held).endswith(f"axis is in [-2, {top}], got {given}"), op


@pytest.mark.parametrize(("sizes", "outputs"), [([1, 1], 2), ([4, -1], 2), ([1, 1, 1], 2)])
def test_parts_that_are_not_the_whole(sizes: list[int], outputs: int) -> None:
    names = [f"y{i}" for i in range(outputs)]
    for source in ("x", "c"):  # computed in a run, or at import
        made = model([node("Split", [source, "k"], names, axis=1)], {"x": ["N", 3]}, names,
                     {"k": np.array(sizes), "c": np.zeros((1, 3), np.float32)})  # fmt: skip
        with pytest.raises(OnnxUnsupportedError, match="2 sizes from 0 that add up to 3, got "):
            import_onnx(made.SerializeToString())


@pytest.mark.parametrize(("scale", "said"), [(0.0, "0.0"), (-2.0, "-2.0"), (np.nan, "nan")])
def test_a_resize_to_nothing(scale: float, said: str) -> None:
    scales = np.array([1, 1, scale, 1], np.float32)
    why = refused("Resize", {}, [None, scales], sizes=PLANE)
    assert why == f"scales and sizes are > 0, got {said}", why
    why = refused("Resize", {}, [None, None, np.array([1, 2, -3, 8])], sizes=PLANE)
    assert why == "scales and sizes are > 0, got -3", why


def test_words_that_are_none() -> None:
    why = refused("ConvTranspose", {"auto_pad": "SAME"}, [ONES], sizes=PLANE)
    assert why == "auto_pad 'SAME'", why
    why = refused("DepthToSpace", {"blocksize": 0}, [], sizes=PLANE)
    assert why == "blocksize is > 0, got 0", why
    why = refused("Clip", {}, [np.array([1, 2], np.float32)])
    assert why == "the bound 'min' is one number, got [2]", why
    why = refused("Clip", {}, [None, np.float32(-np.inf)])
    assert why == "max is -inf: no number is left", why
    why = refused("Clip", {}, [np.float32(np.nan)])
    assert why == "min is nan: no number is left", why
    why = refused("Expand", {}, [np.array([1, 2])])
    assert why == "Expand of ['N', 3] to [1, 2]; give the inputs sizes", "numbers, not their types"


@pytest.mark.parametrize("places", [[0, 3], [-4]])
def test_constant_places_outside_the_axis(places: list[int]) -> None:
    why = refused("Gather", {"axis": 1}, [np.array(places)])
    assert why == f"places are in [-3, 2], got {places[-1]}", why


def test_an_output_that_is_there_twice() -> None:
    made = model([node("Relu", ["x"], ["y"])], {"x": ["N", 3]}, ["y", "y"])
    with pytest.raises(OnnxFormatError, match="the output 'y' is there twice; remove one"):
        import_onnx(made.SerializeToString())
