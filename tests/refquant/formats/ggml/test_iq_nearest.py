"""Lists of neighbours and the choice from them, against Python integers and scalar float32."""

import numpy as np
import pytest

from refquant.formats.ggml.iq_grids import GRIDS, grid_levels
from refquant.formats.ggml.iq_nearest import best_listed, nearest_points, neighbour_lists
from tests.refquant.formats.ggml.iq import bell, noise
from tests.refquant.formats.ggml.simple import f32

# N of eq. (2): ggml-quants.c, nwant of iq2xs_init_impl and iq3xs_init_impl.
DISTANCES = {"iq2_xxs": 2, "iq2_xs": 2, "iq2_s": 1, "iq1": 3, "iq3_xxs": 2, "iq3_s": 3}


def listed(name: str, cell: int) -> list[int]:
    """The candidates of a cell: every point sorted by distance, the first N distances of them."""
    grid, points = GRIDS[name], grid_levels(name).tolist()
    levels = [cell // grid.levels**i % grid.levels for i in range(grid.dimensions)]
    if levels in points:
        return []
    away = sorted(
        (sum((a - b) ** 2 for a, b in zip(levels, point, strict=True)), number)
        for number, point in enumerate(points)
    )
    allowed = sorted({distance for distance, _ in away})[: DISTANCES[name]]
    return [number for distance, number in away if distance in allowed]


@pytest.mark.parametrize("name", GRIDS)
def test_lists_are_by_distance_then_by_number(name: str) -> None:
    lists, grid = neighbour_lists(name, distances=DISTANCES[name]), GRIDS[name]
    total = grid.levels**grid.dimensions
    for cell in range(0, total, total // 60):
        first, count = int(lists.first[cell]), int(lists.count[cell])
        expected = listed(name, cell)
        assert lists.listed[first : first + count].tolist() == expected, f"{name}, cell {cell}"
        assert (lists.point[cell] >= 0) == (not expected), f"{name}, cell {cell}: on the grid"
    on = np.flatnonzero(lists.point >= 0)
    assert lists.point[on].tolist() == list(range(grid.size)), "each point at its cell"


@pytest.mark.parametrize("name", ["iq2_xs", "iq3_s", "iq1"])
def test_the_best_is_the_first_of_the_least_scalar_distances(name: str) -> None:
    lists, grid = neighbour_lists(name, distances=DISTANCES[name]), GRIDS[name]
    off = np.flatnonzero(lists.point < 0)
    cells = off[:: len(off) // 40].astype(np.int32)
    k, d = len(cells), grid.dimensions
    x = (3 * abs(bell(1, k * d))).astype(np.float32).reshape(k, d)
    weights = abs(noise(2, k * d)).astype(np.float32).reshape(k, d)
    scale = abs(bell(3, k)).astype(np.float32)
    q = np.arange(1, 2 * grid.levels, 2).astype(np.float32)
    ours = best_listed(cells, x, weights, scale, q=q, name=name, distances=DISTANCES[name])
    for row, cell in enumerate(cells.tolist()):
        sums: list[tuple[float, int, int]] = []
        for number in listed(name, cell):
            total = 0.0
            for axis, level in enumerate(grid_levels(name)[number].tolist()):
                apart = f32(f32(float(scale[row]) * (2 * level + 1)) - float(x[row, axis]))
                total = f32(total + f32(f32(float(weights[row, axis]) * apart) * apart))
            sums.append((total, len(sums), number))
        assert ours[row] == min(sums)[2], f"{name}, cell {cell}"


def test_without_weights_the_first_of_the_list_is_taken() -> None:
    x = np.full((1, 1, 4), 3, np.float32)  # cell (1, 1, 1, 1)
    one = np.ones(1, np.float32)
    points, exact = nearest_points(x, 0 * x, one, one, name="iq3_xxs", distances=2)
    cell = 1 + 8 + 64 + 512
    expected = listed("iq3_xxs", cell)
    assert exact.tolist() == [[not expected]], "on the grid or not"
    assert points[0, 0] == (expected or [points[0, 0]])[0], "all distances are 0"


def test_no_finite_distance_is_refused() -> None:
    lists = neighbour_lists("iq2_xs", distances=2)
    cell = np.flatnonzero(lists.point < 0)[:1].astype(np.int32)
    x = np.full((1, 8), 1e30, np.float32)
    q = np.array([1, 3, 5], np.float32)
    with np.errstate(all="ignore"), pytest.raises(ValueError, match="must stay in float32"):
        best_listed(cell, x, x, np.ones(1, np.float32), q=q, name="iq2_xs", distances=2)


def test_the_largest_float_is_no_distance() -> None:
    lists = neighbour_lists("iq2_xs", distances=2)
    cell = np.flatnonzero(lists.point < 0)[:1].astype(np.int32)
    largest = np.finfo(np.float32).max
    one = np.ones(1, np.float32)
    q = np.ones(3, np.float32)
    weights = np.array([[largest, 0, 0, 0, 0, 0, 0, 0]], np.float32)
    with pytest.raises(ValueError, match="must stay in float32"):
        best_listed(cell, 0 * weights, weights, one, q=q, name="iq2_xs", distances=2)
    weights[0, 0] = np.nextafter(largest, np.float32(0))
    best = best_listed(cell, 0 * weights, weights, one, q=q, name="iq2_xs", distances=2)
    assert best[0] == lists.listed[lists.first[cell[0]]], "all are equal: the first"


def test_levels_are_clamped() -> None:
    x = np.array([[[-5, 100, 0, 1e6]]], np.float32)
    one = np.ones(1, np.float32)
    points, _ = nearest_points(x, np.ones_like(x), one, one, name="iq3_s", distances=3)
    levels = grid_levels("iq3_s")[points[0, 0]].tolist()
    assert levels[0] < levels[1], "0 and 7, or their neighbours"
