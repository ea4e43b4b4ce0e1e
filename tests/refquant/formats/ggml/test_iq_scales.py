"""The search for scales: properties that its bytes alone do not show."""

import numpy as np
import pytest

from refquant.formats.ggml.iq_grids import GRIDS, grid_levels
from refquant.formats.ggml.iq_scales import GridSearch, fit_sub_blocks, largest_value
from tests.refquant.formats.ggml.iq import bell

SEARCHES = [
    GridSearch(grid="iq2_xs", distances=2, trials=9, step=0.1, refine="off_grid", smallest=1e-15),
    GridSearch(grid="iq3_s", distances=3, trials=9, step=0.2, refine="whole", smallest=0),
    GridSearch(grid="iq2_xxs", distances=2, trials=6, step=0.1, refine="always", smallest=1e-15),
]


@pytest.mark.parametrize("search", SEARCHES, ids=lambda search: search.grid)
def test_points_times_a_power_of_two_are_found_exactly(search: GridSearch) -> None:
    dimensions = GRIDS[search.grid].dimensions
    q = 2.0 * grid_levels(search.grid) + 1
    full = q[(q.max(axis=1) == search.top)][: 64 // dimensions * 4]
    x = (np.concatenate([full, full[::-1]]).reshape(-1, 32) / 8).astype(np.float32)
    scale, points = fit_sub_blocks(
        x, np.ones_like(x), span=largest_value(x), scale=x.max(axis=1), search=search
    )
    assert scale.tolist() == [0.125] * len(x), "an error of 0 cannot be beaten"
    found = (2.0 * grid_levels(search.grid)[points] + 1).reshape(x.shape)
    assert np.array_equal(found / 8, x), "the points themselves"


def test_weights_of_zero_leave_the_first_scale_and_point_zero() -> None:
    x = abs(bell(1, 64)).astype(np.float32).reshape(2, 32)
    span = largest_value(x)
    first = np.asarray(span / 5, np.float32)
    with np.errstate(invalid="ignore"):  # as in encode
        scale, points = fit_sub_blocks(x, 0 * x, span=span, scale=first, search=SEARCHES[0])
    assert np.array_equal(scale, first), "no trial is better"
    assert not points.any(), "and nothing is looked up again: number 0 counts as on the grid"


def test_a_flipped_value_that_outweighs_makes_the_scale_negative() -> None:
    x = np.tile(np.array([-0.01, 1, 1, 1, 1, 1, 1, 1], np.float32), 2)[None]
    weights = np.where(x < 0, np.float32(8000), np.float32(1))
    span = largest_value(x)
    scale, _ = fit_sub_blocks(x, weights, span=span, scale=span, search=SEARCHES[0])
    assert scale[0] < 0, "the branch of which ggml says that it should never be taken"


def test_the_top_is_the_largest_level() -> None:
    assert [search.top for search in SEARCHES] == [5, 15, 5], "2 b - 1"
    assert largest_value(np.array([[-9, -3]], np.float32)).tolist() == [-3.0], "not of magnitude"
