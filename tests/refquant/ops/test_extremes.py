"""The larger by the text's own sentence, element by element; NaN, equals, signed zeros, nothing."""

import math
from typing import Any

import numpy as np
import pytest

from refquant.ops.extremes import arg_extreme, larger, reduce_extreme, smaller, top_k

HARD = [0.0, -0.0, 1.0, -1.0, math.inf, -math.inf, math.nan]


def bits(x: Any) -> list[int]:
    result: list[int] = np.where(np.isnan(x), np.float32(7), x).view(np.uint32).tolist()
    return result


def test_the_larger_and_the_smaller_of_two() -> None:
    a, b = (
        np.array(x, np.float32) for x in zip(*[(p, q) for p in HARD for q in HARD], strict=True)
    )
    most = [p if p >= q or math.isnan(p) else q for p in HARD for q in HARD]
    least = [p if p <= q or math.isnan(p) else q for p in HARD for q in HARD]
    assert bits(larger(a, b)) == bits(np.array(most, np.float32)), "Max"
    assert bits(smaller(a, b)) == bits(np.array(least, np.float32)), "Min"


@pytest.mark.parametrize("axes", [[0], [-1], [0, 2], [2, 0], [0, 1, 2]])
@pytest.mark.parametrize("op", ["ReduceMax", "ReduceMin"])
def test_an_extreme_is_found_walking(op: str, axes: list[int]) -> None:
    rng = np.random.default_rng(0)
    x = rng.choice(np.array(HARD[:6], np.float32), (3, 2, 4))
    x[1, 1, 1] = np.nan
    places = tuple(sorted(axis % 3 for axis in axes))
    for keep in (0, 1):
        got = reduce_extreme(op, x, axes=axes, keepdims=keep)
        moved = np.moveaxis(x, places, range(3 - len(places), 3))
        rows = moved.reshape(*moved.shape[: 3 - len(places)], -1)
        for index in np.ndindex(*rows.shape[:-1]):
            best = rows[index][0]
            for item in rows[index][1:]:
                two = (np.array(best), np.array(item))
                best = (larger if op == "ReduceMax" else smaller)(*two)
            mine = np.squeeze(got, places)[index] if keep else got[index]
            assert bits(np.array([mine])) == bits(np.array([best])), f"{op} {axes} at {index}"


def test_where_it_is() -> None:
    x = np.array([[2, 5, 5, 1], [np.nan, 1, np.nan, 9]], np.float32)
    for op, last, expected in (
        ("ArgMax", 0, [1, 0]), ("ArgMax", 1, [2, 2]), ("ArgMin", 0, [3, 0]), ("ArgMin", 1, [3, 2]),
    ):  # fmt: skip
        got = arg_extreme(op, x, axis=1, keepdims=0, select_last_index=last)
        assert (got.dtype.name, got.tolist()) == ("int32", expected), f"{op}, last {last}"
    assert arg_extreme("ArgMax", x, axis=0).shape == (1, 4), "kept"


def test_the_first_k_by_a_stable_sort() -> None:
    rng = np.random.default_rng(0)
    x = rng.integers(0, 4, (3, 7, 2)).astype(np.float32)
    x[0, 3, 1] = np.nan
    for largest in (0, 1):
        values, places = top_k(x, k=5, axis=1, largest=largest)
        for i, j in np.ndindex(3, 2):
            column = x[i, :, j].tolist()
            key = [(-2, 0.0) if math.isnan(v) else (0, -v if largest else v) for v in column]
            order = sorted(range(7), key=lambda p: key[p])[:5]
            assert places[i, :, j].tolist() == order, f"{column}, largest {largest}"
            assert bits(values[i, :, j]) == bits(x[i, order, j]), "the values there"


def test_what_has_no_extreme() -> None:
    none = np.zeros((2, 0), np.float32)
    with pytest.raises(ValueError, match="nothing has no extreme"):
        reduce_extreme("ReduceMax", none, axes=[1])
    with pytest.raises(ValueError, match="nothing has no extreme"):
        arg_extreme("ArgMin", none, axis=1)
    with pytest.raises(ValueError, match=r"k must be in \[0, 3\], got 4"):
        top_k(np.zeros(3, np.float32), k=4)
    with pytest.raises(ValueError, match="axes must be different axes"):
        reduce_extreme("ReduceMin", np.zeros((2, 2), np.float32), axes=[0, -2])
    with pytest.raises(ValueError, match="must be float32"):
        larger(np.zeros(1, np.int32), np.zeros(1, np.int32))
