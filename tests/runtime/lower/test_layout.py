"""Movement: padding by value or zero point, joining along any axis, in either layout."""

from pathlib import Path

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session


def run(folder: Path, b: Builder, outputs: list[str], x: np.ndarray) -> dict[str, np.ndarray]:
    path = folder / "m.rq"
    write_rq(path, b.graph(outputs))
    return Session(path, threads=2).run({"x": x})


@pytest.mark.parametrize("pooled", [False, True])
@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_concat_and_pad_in_both_layouts(axis: int, pooled: bool, tmp_path: Path) -> None:
    b = Builder("move")
    x = b.input("x", ("N", 2, 3, 4))
    if pooled:  # what a pool writes lies channels last
        x = b.node("MaxPool", [x], name="p", attributes={"kernel_shape": [1, 1]})
    both = b.node("Concat", [x, x], name="both", attributes={"axis": axis})
    pads = [0, 1, 0, 2, 0, 0, 3, 1]
    padded = b.node("Pad", [x], name="padded", attributes={"pads": pads, "value": -2.5})
    data = np.random.default_rng(0).standard_normal((1, 2, 3, 4)).astype(np.float32)
    got = run(tmp_path, b, [both, padded], data)
    assert np.array_equal(got["both"], np.concatenate([data, data], axis)), f"axis {axis}"
    expected = np.pad(data, [(0, 0), (1, 0), (0, 3), (2, 1)], constant_values=-2.5)
    assert np.array_equal(got["padded"], expected), "pads before and after"


@pytest.mark.parametrize("dtype", ["int8", "uint8"])
def test_codes_are_padded_with_their_zero_point(dtype: str, tmp_path: Path) -> None:
    zero = -7 if dtype == "int8" else 200
    b = Builder("pad")
    x = b.input("x", ("N", 2), dtype=dtype, quant=Quant(0.5, zero))
    y = b.node("Pad", [x], name="y", attributes={"pads": [0, 1, 0, 2]})
    got = run(tmp_path, b, [y], np.array([[1, 2]], dtype))["y"]
    assert got.tolist() == [[zero, 1, 2, zero, zero]], f"{got}"


def test_transpose_and_reshape_read_the_files_order(tmp_path: Path) -> None:
    b = Builder("order")
    x = b.input("x", ("N", 2, 3, 4))
    last = b.node("MaxPool", [x], name="p", attributes={"kernel_shape": [1, 1]})
    t = b.node("Transpose", [last], name="t", attributes={"perm": [0, 3, 1, 2]})
    r = b.node("Reshape", [last], name="r", attributes={"shape": [0, 4, 6]})
    data = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    got = run(tmp_path, b, [t, r], data)
    assert np.array_equal(got["t"], data.transpose(0, 3, 1, 2)), "perm 0 3 1 2"
    assert np.array_equal(got["r"], data.reshape(1, 4, 6)), "rows of the file, not of memory"
