"""Rows of tables, and eight sums side by side; whole networks: test_sequence_equivalence.py."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.kernels.rows import (
    CAST,
    GATHER,
    NORMALIZE,
    cast,
    eight_sums,
    gather,
    layer_norm,
)
from tests.runtime.kernels.kernel_calls import Memory, bits, call


@pytest.mark.parametrize("n", [0, 1, 40])
@pytest.mark.parametrize("squares", [0, 1])
def test_eight_sums_ascend(n: int, squares: int) -> None:
    x = np.random.default_rng(n).standard_normal((5, n)).astype(np.float32)
    got = eight_sums(x.reshape(-1), 0, 4, n, squares)
    for row, found in zip([*range(5), 4, 4, 4], got, strict=True):
        expected = np.float32(0)
        for value in x[row]:
            expected = np.float32(expected + (value * value if squares else value))
        assert float(found) == float(expected), f"row {row}: rows after the last repeat it"


@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_an_impossible_index_is_noted_and_is_row_0(dtype: type) -> None:
    memory = Memory()
    table: NDArray[Any] = np.arange(12).reshape(4, 3).astype(dtype)
    indices = np.array([-1, 4, 2, -5], np.int32)
    own = {
        "x": memory.put(table), "y": memory.reserve(200), "outer": 1, "rows": 4, "inner": 3,
        "count": 4, "indices": memory.put(indices), "guard": memory.put(np.zeros(1, np.int32)),
        "element": table.itemsize,
    }  # fmt: skip
    call(gather, GATHER, own, memory, threads=2)
    assert memory.get(own["y"], dtype, (4, 3)).tolist() == table[[3, 0, 2, 0]].tolist(), "rows"
    assert memory.get(own["guard"], np.int32, (1,)).tolist() == [1], "two of them name no row"


def test_a_vector_of_equals_is_its_bias() -> None:
    memory = Memory()
    x, one, bias = np.full((9, 5), 3, np.float32), np.ones(5, np.float32), np.arange(5)
    own = {
        "x": memory.put(x), "y": memory.reserve(x.nbytes), "rows": 9, "n": 5,
        "scale": memory.put(one), "bias": memory.put(bias.astype(np.float32)), "has_bias": 1,
        "epsilon": bits(1e-5),
    }  # fmt: skip
    call(layer_norm, NORMALIZE, own, memory, threads=2)
    got = memory.get(own["y"], np.float32, (9, 5))
    assert got.tolist() == np.broadcast_to(bias, (9, 5)).tolist(), "9 rows: a block of 8 and one"


def test_floats_that_are_no_int32() -> None:
    memory = Memory()
    x = np.array([2.0**31, -(2.0**31), np.nan, -1.9, np.inf, 2147483520.0], np.float32)
    own = {"x": memory.put(x), "y": memory.reserve(64), "n": x.size, "kind": 1}
    call(cast, CAST, own, memory)
    least = -(2**31)
    expected = [least, least, least, -1, least, 2147483520]
    assert memory.get(own["y"], np.int32, x.shape).tolist() == expected, "toward zero, or -2^31"


def test_codes_of_16_bits_are_gathered_whole(tmp_path: Path) -> None:
    b, q = Builder("g"), Quant(0.5, 0)
    x = b.input("x", ("N", 3, 2), dtype="int16", quant=q)
    places = b.constant("places", np.array([2, 0, 2, 1], np.int32))
    made = b.node("Gather", [x, places], attributes={"axis": 1}, name="y", dtype="int16", quant=q)
    write_rq(tmp_path / "m.rq", b.graph([made]))
    codes = np.array([[[-32768, 32767], [1, -1], [256, 255]]], np.int16)
    got = Session(tmp_path / "m.rq").run({"x": codes})["y"]
    assert np.array_equal(got, codes[:, [2, 0, 2, 1]]), "both bytes of each"
