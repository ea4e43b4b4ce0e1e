"""What may be fed, without a session: every axis that is wrong is named."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant_runtime.compat.onnxruntime_errors import InvalidArgument
from refquant_runtime.compat.onnxruntime_feeds import checked, described
from refquant_runtime.compat.onnxruntime_values import OrtValue
from refquant_runtime.graph import Graph, Value

ENDS = {
    "x": Value("x", "float32", (0, 1, 4), True, None, None, (1,)),
    "k": Value("k", "int8", (2, 3), False, None, None),
}
GRAPH = Graph(Path("m.rq"), "m", ("x", "k"), ("x",), ENDS, (), {}, {}, "", 0)


@pytest.mark.parametrize(
    ("name", "sizes", "shape"),
    [("x", {}, ["N", "T", 4]), ("x", {"T": 7}, ["N", 7, 4]), ("k", {"N": 9}, [2, 3])],
)
def test_sizes_are_letters_until_they_are_fixed(name: str, sizes: Any, shape: Any) -> None:
    assert described(ENDS[name], sizes).shape == shape, f"{sizes}"


@pytest.mark.parametrize(
    ("name", "array", "said"),
    [
        ("k", np.zeros((4, 5), np.int8), r" index: 0 Got: 4 Expected: 2\n index: 1 Got: 5 Exp"),
        ("k", np.zeros((2, 3), np.uint8), r"Actual: \(tensor\(uint8\)\)"),
        ("k", np.zeros(3, np.int8), "Got: 1 Expected: 2"),
        ("x", np.zeros((2, 9, 5), np.float32), " index: 2 Got: 5 Expected: 4"),
        ("y", np.zeros(3), "Invalid input name: y"),
    ],
)
def test_what_is_wrong_is_named(name: str, array: Any, said: str) -> None:
    with pytest.raises(InvalidArgument, match=said):
        checked(GRAPH, {}, name, array)


def test_what_is_right_is_an_array_in_a_row() -> None:
    assert checked(GRAPH, {}, "k", [[1, 2, 3], [4, 5, 6]]).dtype == np.int8, "a list"
    turned = np.asfortranarray(np.zeros((2, 3), np.int8))
    assert checked(GRAPH, {}, "k", turned).flags.c_contiguous, "laid out anew"
    assert checked(GRAPH, {}, "k", OrtValue(turned)).shape == (2, 3), "a value"
