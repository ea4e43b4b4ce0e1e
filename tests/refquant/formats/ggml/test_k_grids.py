"""The search for scale and minimum, against a scalar program."""

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.formats.ggml.k_grids import Grids, fit_scale_min, rms_plus_magnitude
from tests.refquant.formats.ggml.k_scalar import scale_min

Q2 = Grids(3, -0.5, 0.1, 15, absolute_error=True)
Q4 = Grids(15, -1.0, 0.1, 20)
WEIGHTED = Grids(15, -0.9, 0.05, 36)


def hostile_columns(size: int) -> NDArray[np.float32]:
    """Columns (size, k): ties, constants, one outlier, zeros, one sign, magnitudes apart."""
    rng = np.random.default_rng(5)
    normal = rng.standard_normal((size, 4))
    outlier, mixed = normal.copy(), normal * 10.0 ** rng.uniform(-6, 6, normal.shape)
    outlier[3] *= 100
    columns = [
        normal, outlier, mixed, np.abs(normal) + 2, -np.abs(normal) - 2,
        rng.integers(-8, 9, normal.shape), rng.integers(-15, 16, normal.shape) / 2,
        np.ones((size, 1)), -np.ones((size, 1)), np.zeros((size, 1)), np.full((size, 1), 1e-20),
    ]  # fmt: skip
    return np.concatenate(columns, axis=1).astype(np.float32)


def check(x: NDArray[np.float32], w: NDArray[np.float32], grids: Grids) -> None:
    with np.errstate(all="ignore"):
        scale, minimum, codes = fit_scale_min(x, w, grids)
    for i in range(x.shape[1]):
        expected = scale_min(
            x[:, i].tolist(), w[:, i].tolist(), nmax=grids.nmax, start=grids.start,
            delta=grids.delta, steps=grids.steps, absolute=grids.absolute_error,
        )  # fmt: skip
        got = (float(scale[i]), float(minimum[i]), codes[:, i].tolist())
        assert got == expected, f"column {i} = {x[:, i].tolist()}: {got} is not {expected}"


@pytest.mark.parametrize(("size", "grids"), [(16, Q2), (32, Q4), (32, WEIGHTED)])
def test_columns_are_fitted_as_by_a_scalar_program(size: int, grids: Grids) -> None:
    x = hostile_columns(size)
    check(x, np.abs(x), grids)
    check(x, rms_plus_magnitude(x), grids)
    weights = np.random.default_rng(6).random(x.shape).astype(np.float32)
    check(x, np.where(weights < 0.5, np.float32(0), weights), grids)


def test_the_grids_move_with_the_best_minimum() -> None:
    """The first grid has m = -4, and no later one finds what they all find from m = -5."""
    x = np.array([[6], [5], [-3], [-5]], np.float32)
    scale, minimum, codes = fit_scale_min(x, np.ones_like(x), Grids(3, -0.5, 0.1, 15))
    got = (float(scale[0]), float(minimum[0]), codes.ravel().tolist())
    assert got == (4.75, 4.0, [2, 2, 0, 0]), "values -4, -4, 5.5, 5.5: squared error 2.5"
    last = Grids(3, 1.0, 0.0, 0)  # the last grid alone
    assert fit_scale_min(x, np.ones_like(x), last)[2].ravel().tolist() == [3, 3, 1, 0], "better"


def test_minimums_are_at_most_zero_and_scales_not_negative() -> None:
    x = hostile_columns(32)
    with np.errstate(all="ignore"):
        scale, minimum, _ = fit_scale_min(x, np.ones_like(x), Q4)
    assert (minimum >= 0).all(), "stored without a sign"
    assert (scale >= 0).all(), "scales are not negative here"


def test_the_steps_are_sums_of_float32() -> None:
    assert [float(Q4.span(t)) for t in (0, 3, 10)] == [14.0, float(np.float32(14.3)), 15.0], "spans"
    assert Q2.span(13) != np.float32(3 - 0.5 + 0.1 * 13), "rounded once, it is another number"


def test_garbage_of_nearest_int_is_kept_where_magnitudes_collapse() -> None:
    x = np.array([[0], [2.0**-149]], np.float32)
    with np.errstate(all="ignore"):
        scale, minimum, codes = fit_scale_min(x, np.ones_like(x), Q4)
    assert codes.ravel().tolist() == [0, 0], "kappa is infinite: ggml's integer is -2^22, so 0"
    assert (float(scale[0]), float(minimum[0])) == (0.0, 0.0), "1 / infinity"
