"""Strided copies and fills, elements of one and four bytes, shared among any number of threads."""

from typing import Any

import numpy as np
import pytest

from refquant_runtime.kernels.move import FILL, MOVE, fill, move
from tests.runtime.kernels.kernel_calls import Memory, call


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("dtype", [np.uint8, np.int32])
def test_a_transposition_of_six_dimensions(dtype: Any, threads: int) -> None:
    x = np.arange(2 * 3 * 1 * 4 * 5 * 2).astype(dtype).reshape(2, 3, 1, 4, 5, 2)
    order = (5, 1, 3, 0, 4, 2)
    expected = np.ascontiguousarray(x.transpose(order))
    memory = Memory()
    source = memory.put(x)
    target = memory.reserve(x.nbytes)
    size = x.itemsize
    params = {"x": source, "y": target, "element": size}
    for axis in range(6):
        params |= {
            f"d{axis}": expected.shape[axis],
            f"x{axis}": x.strides[order[axis]] // size,
            f"y{axis}": expected.strides[axis] // size,
        }
    call(move, MOVE, params, memory, threads=threads)
    actual = memory.get(target, dtype, expected.shape)
    assert np.array_equal(actual, expected), f"{dtype.__name__}, {threads} threads"


@pytest.mark.parametrize("threads", [1, 3])
def test_a_fill_stops_at_its_end(threads: int) -> None:
    memory = Memory()
    at = memory.put(np.zeros(20, np.uint8))
    call(fill, FILL, {"y": at, "n": 17, "element": 1, "value": 200}, memory, threads=threads)
    assert memory.get(at, np.uint8, (20,)).tolist() == [200] * 17 + [0] * 3, "17 of 20 bytes"
    wide = memory.put(np.zeros(4, np.int32))
    call(fill, FILL, {"y": wide, "n": 3, "element": 4, "value": -7}, memory, threads=threads)
    assert memory.get(wide, np.int32, (4,)).tolist() == [-7, -7, -7, 0], "3 of 4 words"
