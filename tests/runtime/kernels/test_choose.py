"""What wins: NaN over all, of equals the first or the last; the k best in order."""

import numpy as np
import pytest

from refquant_runtime.kernels.choose import EXTREME, TOP, beats, extreme, top_k
from tests.runtime.kernels.kernel_calls import Memory, call

NAN = np.float32(np.nan)


@pytest.mark.parametrize(
    ("value", "best", "least", "equal", "expected"),
    [
        (2, 1, 0, 0, True), (1, 2, 0, 0, False), (1, 2, 1, 0, True), (1, 1, 0, 0, False),
        (1, 1, 1, 1, True), (NAN, 9, 0, 0, True), (9, NAN, 0, 0, False), (NAN, NAN, 0, 0, False),
        (NAN, NAN, 1, 1, True), (9, NAN, 1, 1, False), (0.0, -0.0, 0, 0, False),
    ],
)  # fmt: skip
def test_who_beats_whom(value: float, best: float, least: int, equal: int, expected: bool) -> None:
    assert bool(beats(np.float32(value), np.float32(best), least, equal)) is expected, "by the text"


X = np.array([[1, 4, NAN, 4, NAN], [3, -0.0, 0.0, 3, 1]], np.float32)


@pytest.mark.parametrize(
    ("least", "last", "expected"), [(0, 0, [2, 0]), (0, 1, [4, 3]), (1, 0, [2, 1]), (1, 1, [4, 2])]
)
def test_where_the_extreme_is(least: int, last: int, expected: list[int]) -> None:
    memory = Memory()
    own = {
        "x": memory.put(X), "y": memory.reserve(64), "outer": 2, "n": 5, "inner": 1,
        "least": least, "place": 1, "last": last,
    }  # fmt: skip
    call(extreme, EXTREME, own, memory, threads=2)
    assert memory.get(own["y"], np.int32, (2,)).tolist() == expected, "of equals as asked"


@pytest.mark.parametrize(
    ("least", "places"), [(0, [[2, 4, 1], [0, 3, 4]]), (1, [[2, 4, 0], [1, 2, 4]])]
)
def test_the_three_best(least: int, places: list[list[int]]) -> None:
    memory = Memory()
    own = {
        "x": memory.put(X), "y": memory.reserve(64), "places": memory.reserve(64), "outer": 2,
        "n": 5, "inner": 1, "k": 3, "least": least,
    }  # fmt: skip
    call(top_k, TOP, own, memory)
    assert memory.get(own["places"], np.int32, (2, 3)).tolist() == places, "equals by their places"
