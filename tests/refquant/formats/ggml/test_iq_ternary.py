"""The best split, against all splits in fractions; the grid; the shifts."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.ggml import iq1_m, iq1_s
from refquant.formats.ggml.iq_grids import grid_levels
from refquant.formats.ggml.iq_ternary import (
    SHIFTED,
    Split,
    TernaryFields,
    best_split,
    snap_to_grid,
    ternary_values,
)
from tests.refquant.formats.ggml.iq import bell, noise


def explained(x: np.ndarray, w: np.ndarray, q: list[Fraction]) -> Fraction:
    """<xq>^2 / <qq>, by fractions: what a fitted scale takes off the error."""
    terms = list(zip(x.tolist(), w.tolist(), q, strict=True))
    xq = sum((Fraction(a) * Fraction(b) * c for a, b, c in terms), Fraction(0))
    qq = sum((Fraction(b) * c * c for _, b, c in terms), Fraction(0))
    return xq * xq / qq if qq else Fraction(0)


def test_the_split_is_the_best_of_all_up_to_float32() -> None:
    x = bell(1, 32).astype(np.float32)[None]
    w = abs(noise(2, 32)).astype(np.float32)[None]
    order = np.argsort(x, axis=1, kind="stable").astype(np.int32)
    with np.errstate(all="ignore"):  # as in encode
        split = best_split(iq1_s._candidates(x, w, order), order, choices=2)
    shifts = [[Fraction(float(v)) for v in row] for row in SHIFTED]
    q = [shifts[int(split.shift[0])][level] for level in split.levels[0].tolist()]
    reached = explained(x[0], w[0], q)
    best = Fraction(0)
    for i in range(33):
        for j in range(i, 33):
            for row in shifts:
                q = [row[0]] * i + [row[1]] * (j - i) + [row[2]] * (32 - j)
                best = max(best, explained(x[0, order[0]], w[0, order[0]], q))
    # 64 roundings of relative 2^-24 in each of the two sums: less than 2^-16 in the quotient
    assert best * (1 - Fraction(1, 2**16)) <= reached <= best, "no split is better"


@pytest.mark.parametrize("sums", [iq1_m._direct, iq1_m._by_prefix])
def test_both_orders_of_sums_are_the_same_sums(sums: object) -> None:
    x = np.arange(-8, 8, dtype=np.float32)[None]  # small integers: every sum is exact
    w = (1 + np.arange(16, dtype=np.float32) % 4)[None]
    order = np.argsort(x, axis=1, kind="stable").astype(np.int32)
    count = 0
    for i, j, pair, xq, qq in sums(x, w, order):  # type: ignore[operator]  # one of two functions
        rows = [iq1_m._PAIRS[pair][k // 8] for k in range(16)]
        q = [float(SHIFTED[rows[k], (k >= i) + (k >= j)]) for k in range(16)]
        assert float(xq[0]) == sum(a * b * c for a, b, c in zip(w[0], q, x[0], strict=True)), "xq"
        assert float(qq[0]) == sum(a * b * b for a, b in zip(w[0], q, strict=True)), "qq"
        count += 1
    assert count == 17 * 18 // 2 * 4, "all splits, all pairs of shifts"


def test_equal_values_are_split_in_their_order() -> None:
    one = np.ones(1, np.float32)
    order = np.argsort(np.zeros((1, 4), np.float32), axis=1, kind="stable").astype(np.int32)
    split = best_split(iter([(1, 2, 0, one, one)]), order, choices=2)
    assert split.levels.tolist() == [[0, 1, 2, 2]], "first come, first split"


def test_without_a_fit_nothing_is_found() -> None:
    zero = np.zeros(2, np.float32)
    order = np.tile(np.arange(8, dtype=np.int32), (2, 1))
    split = best_split(iter([(0, 0, 0, zero, zero)]), order, choices=2)
    assert split.found.tolist() == [False, False], "weights of 0"
    assert split.only_found().levels.shape == (0, 8), "and none are left"


def test_off_the_grid_levels_go_to_a_listed_point_and_the_scale_follows() -> None:
    points = {tuple(point) for point in grid_levels("iq1").tolist()}
    levels = next(
        np.array(each)[None]
        for each in np.ndindex(3, 3, 3, 3, 3, 3, 3, 3)
        if tuple(each) not in points
    )
    x = SHIFTED[0][levels].astype(np.float32)
    found = np.ones(1, np.bool_)
    split = Split(levels.astype(np.uint8), np.zeros(1, np.int32), np.ones(1, np.float32), found)
    number, scale = snap_to_grid(x, np.ones_like(x), split, np.zeros((1, 1), np.int32))
    chosen = grid_levels("iq1")[number[0, 0]]
    assert tuple(chosen.tolist()) in points, "a point"
    assert abs(chosen.astype(int) - levels[0]).max() <= 2, "near the levels"
    q = SHIFTED[0][chosen]
    assert scale[0] == np.float32((q * x[0]).sum()) / np.float32((q * q).sum()), "eighths: exact"


def test_levels_on_the_grid_keep_the_scale_they_came_with() -> None:
    levels = grid_levels("iq1")[[7, 99]].reshape(1, 16)
    x = SHIFTED[1][levels].astype(np.float32)
    split = Split(levels, np.zeros(1, np.int32), np.full(1, 2, np.float32), np.ones(1, np.bool_))
    number, scale = snap_to_grid(x, np.ones_like(x), split, np.ones((1, 2), np.int32))
    assert number.tolist() == [[7, 99]], "their own numbers"
    assert scale.tolist() == [2.0], "the fit by split stands, although 1 fits better"


def test_values_are_exact_and_shifts_are_up_and_down() -> None:
    points, shifts = np.zeros((1, 32), np.int32), np.zeros((1, 32), np.int32)
    shifts[0, 1] = 1
    fields = TernaryFields(np.full(1, 8, np.float32), np.zeros((1, 16), np.int32), points, shifts)
    values = ternary_values(fields)[0]
    assert values[[0, 8]].tolist() == [-7.0, -9.0], "8 (-1 + 1/8) and 8 (-1 - 1/8)"
