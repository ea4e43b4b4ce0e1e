"""Steps on the way: codes that are read anew, padded, or counted."""

from typing import Any

import numpy as np
import pytest

from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_calls import called, made

Q: dict[str, Any] = {"scale": 0.25, "zero_point": 5}


@pytest.mark.parametrize("number", [-128, 5, 127])
def test_padv2_pads_with_its_code(number: int) -> None:
    m = Model()
    x, held = m.tensor((1, 2, 2, 1), name="x", **Q), m.tensor((1,), values=[number], **Q)
    rows = m.tensor((4, 2), "int32", values=[0, 0, 1, 0, 0, 2, 0, 0])
    y = m.tensor((1, 3, 4, 1), **Q)
    m.op("PADV2", [x, rows, held], [y])
    q = np.array([1, 2, -3, 127], np.int8).reshape(1, 2, 2, 1)
    expected = np.pad(q, [(0, 0), (1, 0), (0, 2), (0, 0)], constant_values=number)
    assert np.array_equal(made(m, [x], y, "xnnpack", q), expected), "one number around the image"
    graph = called(m, [x], [y], "xnnpack")
    steps = ["Pad"] if number == 5 else ["Requantize", "Pad", "Requantize", "Identity"]
    assert [node.op for node in graph.nodes] == steps, "the zero point needs no other meaning"


def test_padv2_of_reals_and_of_what_is_no_number() -> None:
    m = Model()
    x = m.tensor((1, 2), "float32", name="x")
    held = m.tensor((1,), "float32", values=[-1.5])
    rows = m.tensor((2, 2), "int32", values=[0, 0, 1, 0])
    y = m.tensor((1, 3), "float32")
    m.op("PADV2", [x, rows, held], [y])
    assert made(m, [x], y, "xnnpack", np.ones((1, 2), np.float32)).tolist() == [[-1.5, 1, 1]], "pad"
    m.tensors[held]["array"][:] = np.inf
    with pytest.raises(ModelFileError, match="pads with inf"):
        called(m, [x], [y], "xnnpack")


def test_tables_are_held_once() -> None:
    m = Model()
    x, z = m.tensor((1, 4), name="x", **Q), m.tensor((1, 4), name="z", **Q)
    a, b = m.tensor((1, 4), scale=0.5), m.tensor((1, 4), scale=0.5)
    for y in (a, b):
        m.op("SQUARED_DIFFERENCE", [x, z], [y])
    graph = called(m, [x, z], [a, b], "xnnpack")
    assert sum(array.size == 1 << 16 for array in graph.constants.values()) == 1, "two readers"
