"""The kernel of resized codes: ties of both signs, and the largest sums."""

import numpy as np
import pytest

from refquant_runtime.kernels.resize import RESIZE, resize_linear
from tests.runtime.kernels.kernel_calls import Memory, call


@pytest.mark.parametrize(("away", "expected"), [(0, [-1, 2, -128, 127]), (1, [-2, 2, -128, 127])])
def test_ties_and_ends(away: int, expected: list[int]) -> None:
    """Between -2 and -1 is -1.5, between 1 and 2 is 1.5; all of an end is that end."""
    memory = Memory()
    x = np.array([[-2, 1, -128, 127], [-1, 2, -128, 127]], np.int8)  # two columns, four channels
    own = {
        "x": memory.put(x), "y": memory.reserve(64),
        "rows": memory.put(np.array([[0, 0, 777]], np.int32)),
        "columns": memory.put(np.array([[0, 1, 1024]], np.int32)),
        "samples": 1, "height": 1, "width": 2, "out_height": 1, "out_width": 1, "n": 4,
        "bits": 11, "away": away, "signed": 1,
    }  # fmt: skip
    call(resize_linear, RESIZE, own, memory, threads=2)
    assert memory.get(own["y"], np.int8, (4,)).tolist() == expected, "half of 2^11"


def test_unsigned_codes_reach_further() -> None:
    memory = Memory()
    own = {
        "x": memory.put(np.array([[255, 0]], np.uint8)), "y": memory.reserve(64),
        "rows": memory.put(np.array([[0, 0, 2048]], np.int32)),
        "columns": memory.put(np.array([[0, 0, 0]], np.int32)),
        "samples": 1, "height": 1, "width": 1, "out_height": 1, "out_width": 1, "n": 2,
        "bits": 11, "away": 0, "signed": 0,
    }  # fmt: skip
    call(resize_linear, RESIZE, own, memory, threads=1)
    assert memory.get(own["y"], np.uint8, (2,)).tolist() == [255, 0], "255 * 2^22 fits int32"
