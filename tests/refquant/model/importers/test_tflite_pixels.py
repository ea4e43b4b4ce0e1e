"""Pixels that repeat and change places, against numpy; LiteRT: outsiders/test_litert_moves.py."""

from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.importers.tflite import tflite_graph
from refquant.model.loaders.tensors import ModelFileError
from tests.refquant.model.importers.tflite_bytes import Model
from tests.refquant.model.importers.tflite_moved import codes, moved

X = codes(4, 6, 4)
ROWS = [[0, 0], [2, 1], [0, 0], [3, 0]]
PAD = ((0, 0), (2, 1), (0, 0), (3, 0))
CASES: dict[str, tuple[bytes, Any]] = {
    "RESIZE_NEAREST_NEIGHBOR": (
        moved("RESIZE_NEAREST_NEIGHBOR", (4, 6, 4), [(1, 8, 12, 4)], [8, 12]),
        X.repeat(2, 1).repeat(2, 2),
    ),
    "RESIZE_NEAREST_NEIGHBOR, corners": (
        moved("RESIZE_NEAREST_NEIGHBOR", (4, 6, 4), [(1, 2, 3, 4)], [2, 3], AlignCorners=True),
        X[:, [0, 3]][:, :, [0, 3, 5]],  # 2.5 goes up
    ),
    "RESIZE_NEAREST_NEIGHBOR, centers": (
        moved("RESIZE_NEAREST_NEIGHBOR", (4, 6, 4), [(1, 2, 6, 4)], [2, 6], HalfPixelCenters=True),
        X[:, [1, 3]],
    ),
    "MIRROR_PAD, reflect": (
        moved("MIRROR_PAD", (4, 6, 4), [(1, 7, 6, 7)], ROWS, Mode=0), np.pad(X, PAD, "reflect"),
    ),
    "MIRROR_PAD, symmetric": (
        moved("MIRROR_PAD", (4, 6, 4), [(1, 7, 6, 7)], ROWS, Mode=1), np.pad(X, PAD, "symmetric"),
    ),
    "MIRROR_PAD, nothing": (moved("MIRROR_PAD", (4, 6, 4), [(1, 4, 6, 4)], [[0, 0]] * 4), X),
    "SPACE_TO_DEPTH": (
        moved("SPACE_TO_DEPTH", (4, 6, 4), [(1, 2, 3, 16)], BlockSize=2),
        np.concatenate([X[:, i::2, j::2] for i in (0, 1) for j in (0, 1)], 3),
    ),
    "DEPTH_TO_SPACE": (
        moved("DEPTH_TO_SPACE", (4, 6, 4), [(1, 8, 12, 1)], BlockSize=2),
        X.reshape(2, 4, 6, 2, 2, 1).transpose(0, 1, 3, 2, 4, 5).reshape(2, 8, 12, 1),
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_pixels_are_numpys(case: str) -> None:
    data, expected = CASES[case]
    (made,) = run(tflite_graph(data, path=case), {"x": X}).values()
    assert np.array_equal(made, expected), f"{case}: nothing is computed"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (moved("RESIZE_NEAREST_NEIGHBOR", (4, 4), [(1, 8, 4)], [8, 4]), "resizes"),
        (moved("RESIZE_NEAREST_NEIGHBOR", (4, 4, 1), [(1, 8, 4, 1)], [0, 4]), "resizes"),
        (
            moved("RESIZE_NEAREST_NEIGHBOR", (4, 4, 1), [(1, 9, 4, 1)], [2**31 - 1, 4]),
            "takes 2147483647 places",  # a damaged file: nothing that large is made
        ),
        (
            moved("MIRROR_PAD", (2**30,), [(1, 2**30 + 1)], [[0, 0], [1, 0]]),
            "takes 1073741825 places",
        ),
        (moved("MIRROR_PAD", (4,), [(1, 9)], [[0, 0], [5, 0]], Mode=1), "paddings 5, 0 of 4"),
        (moved("MIRROR_PAD", (4,), [(1, 8)], [[0, 0], [4, 0]], Mode=0), "paddings 4, 0 of 4"),
        (moved("SPACE_TO_DEPTH", (5, 4, 1), [(1, 2, 2, 4)], BlockSize=2), "blocks of 2 in 5 x 4"),
        (moved("DEPTH_TO_SPACE", (5, 4, 6), [(1, 10, 8, 1)], BlockSize=2), "from 6 channels"),
        (moved("DEPTH_TO_SPACE", (5, 4, 6), [(1, 10, 8, 1)], BlockSize=0), "blocks of 0"),
    ],
)
def test_what_fits_no_pixels(data: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(data, path="odd")


def test_pixels_become_samples_and_come_back() -> None:
    """A graph with such an operator is a function of the batch that the file says."""
    m, q = Model(), {"scale": 0.25, "zero_point": 5}
    x = m.tensor((1, 3, 4, 2), name="x", **q)  # type: ignore[arg-type]  # numbers
    blocks = m.tensor((2,), "int32", values=[2, 2])
    pads = m.tensor((2, 2), "int32", values=[1, 0, 0, 2])
    z = m.tensor((4, 2, 3, 2), name="z", **q)  # type: ignore[arg-type]  # numbers
    m.op("SPACE_TO_BATCH_ND", [x, blocks, pads], [z])
    y = m.tensor((1, 3, 4, 2), name="y", **q)  # type: ignore[arg-type]  # numbers
    m.op("BATCH_TO_SPACE_ND", [z, blocks, pads], [y])
    graph = tflite_graph(m.data([x], [z, y]), path="m")
    pixels = codes(3, 4, 2)[:1]
    out = run(graph, {"x": pixels})
    padded = np.pad(pixels, [(0, 0), (1, 0), (0, 2), (0, 0)], constant_values=5)
    apart = np.concatenate([padded[:, i::2, j::2] for i in (0, 1) for j in (0, 1)])
    assert np.array_equal(out["z"], apart), "every second pixel is one sample"
    assert np.array_equal(out["y"], pixels), "and back"


@pytest.mark.parametrize(
    ("op", "blocks", "pads", "message"),
    [
        ("SPACE_TO_BATCH_ND", [2, 2], [0, 0, 0, 0], "blocks of 2 x 2 in 3 x 4"),
        ("SPACE_TO_BATCH_ND", [0, 2], [0, 0, 0, 0], "blocks are"),
        ("SPACE_TO_BATCH_ND", [2], [1, 0], "takes images"),
        ("BATCH_TO_SPACE_ND", [1, 1], [2, 1, 0, 0], "cropped by"),
        ("BATCH_TO_SPACE_ND", [2, 1], [0, 0, 0, 0], "from 1 samples"),
    ],
)
def test_blocks_that_do_not_fit(op: str, blocks: list[int], pads: list[int], message: str) -> None:
    m, q = Model(), {"scale": 0.25, "zero_point": 5}
    x, y = (m.tensor((1, 3, 4, 2), **q) for _ in "xy")  # type: ignore[arg-type]  # numbers
    held = m.tensor((len(blocks),), "int32", values=blocks)
    rows = m.tensor((len(blocks), 2), "int32", values=pads)
    m.op(op, [x, held, rows], [y])
    with pytest.raises(ModelFileError, match=message):
        tflite_graph(m.data([x], [y]), path="odd")
