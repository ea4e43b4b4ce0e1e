"""Parts of codes against numpy's own slices; LiteRT: tests/outsiders/test_litert_moves.py."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_moved import Q, codes, moved

X = codes(5, 6, 4)
CASES: dict[str, tuple[bytes, list[Any]]] = {
    "SLICE": (
        moved("SLICE", (5, 6, 4), [(1, 2, 6, 3)], [0, 1, 0, 1], [1, 2, -1, 3]),
        [X[:, 1:3, :, 1:4]],
    ),
    "STRIDED_SLICE": (
        moved("STRIDED_SLICE", (5, 6, 4), [(1, 3, 2, 4)], [0, 0, 4, 0], [1, 5, 0, 4],
              [1, 2, -2, 1]),
        [X[:, ::2, 4:0:-2]],
    ),
    "STRIDED_SLICE, masks": (
        moved("STRIDED_SLICE", (5, 6, 4), [(1, 4, 6)], [0, 1, 0, 2], [0, 0, 0, 3], [1, 1, 1, 1],
              BeginMask=5, EndMask=7, ShrinkAxisMask=8),
        [X[:, 1:, :, 2]],
    ),
    "SPLIT": (
        moved("SPLIT", (5, 6, 4), [(1, 5, 6, 2)] * 2, 3, first=True, NumSplits=2),
        [X[..., :2], X[..., 2:]],
    ),
    "SPLIT_V": (
        moved("SPLIT_V", (5, 6, 4), [(1, 5, 1, 4), (1, 5, 5, 4)], [1, -1], -2, NumSplits=2),
        [X[:, :, :1], X[:, :, 1:]],
    ),
    "UNPACK": (
        moved("UNPACK", (5, 6, 4), [(1, 5, 6)] * 4, Num=4, Axis=-1), [X[..., i] for i in range(4)],
    ),
    "GATHER": (
        moved("GATHER", (5, 6, 4), [(1, 5, 3, 4)], [5, 0, 5], Axis=2), [X[:, :, [5, 0, 5]]],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_part_is_numpys(case: str) -> None:
    data, expected = CASES[case]
    made = run(tflite_graph(data, path=case), {"x": X})
    for got, want in zip(made.values(), expected, strict=True):
        assert np.array_equal(got, want), f"{case}: nothing is computed"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (moved("SLICE", (4, 2), [(1, 4, 3)], [0, 0, 0], [1, 4, 3]), "the part"),
        (moved("SLICE", (4, 2), [(1, 4)], [0, 0], [1, 4]), "begins"),
        (moved("SLICE", (4, 2), [(1, 9, 2)], [0, 0, 0], [1, 2, 2]), "makes .* the file says"),
        (moved("SPLIT", (4, 3), [(1, 4, 1)] * 2, 2, first=True, NumSplits=2), "2 equal parts of 3"),
        (moved("SPLIT", (4, 3), [(1, 4, 1)] * 3, 7, first=True, NumSplits=3), "one axis of 3"),
        (moved("SPLIT_V", (4, 3), [(1, 4, 1)], [1], 2, NumSplits=1), r"parts \[1\] of 3"),
        (moved("STRIDED_SLICE", (4,), [(1, 4)], [0, 0], [1, 4], [1, 0]), "slices"),
        (
            moved("STRIDED_SLICE", (4,), [(1, 1, 4)], [0, 0], [1, 4], [1, 1], NewAxisMask=1),
            "an ellipsis or a new axis",
        ),
        (moved("GATHER", (4,), [(1, 1)], [4], Axis=1), "places up to 4 of 4"),
        (
            moved("STRIDED_SLICE", (2**30,), [(1, 2**29)], [0, 0], [1, 2**30], [1, 2]),
            "takes 536870912 places",
        ),
        (moved("UNPACK", (4,), [(1,)] * 3, Num=3, Axis=1), "3 outputs of 4"),
        (
            moved("SLICE", (4,), [(1, 2)], [0, 0], [1, 2], output={"scale": 0.5, "zero_point": 5}),
            "other parameters at its output",
        ),
    ],
)
def test_what_is_no_part(data: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(data, path="odd")


def test_samples_can_be_taken_apart_where_they_are_no_batch() -> None:
    data = moved("UNPACK", (3,), [(3,)], Num=1, Axis=0)
    graph = tflite_graph(data, path="rows")
    assert graph.values["x"].shape == (1, 3), "the first axis is an axis as any other"
    x = codes(3)[:1]
    assert np.array_equal(run(graph, {"x": x})["y0"], x[0]), "and goes"
    assert graph.values["y0"].quant == graph.values["x"].quant, f"{Q}"
