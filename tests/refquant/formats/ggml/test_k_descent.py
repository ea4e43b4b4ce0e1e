"""The coordinate descents, against a scalar program."""

import numpy as np
import pytest

from refquant.formats.ggml.k_descent import fit_positive, fit_signed
from tests.refquant.formats.ggml.k_scalar import positive, signed
from tests.refquant.formats.ggml.test_k_grids import hostile_columns


def test_signed_columns_are_fitted_as_by_a_scalar_program() -> None:
    x = hostile_columns(16)
    with np.errstate(all="ignore"):
        scale, codes = fit_signed(x, nmax=4)
    for i in range(x.shape[1]):
        expected = signed(x[:, i].tolist(), nmax=4)
        got = (float(scale[i]), codes[:, i].tolist())
        assert got == expected, f"column {x[:, i].tolist()}: {got} is not {expected}"


@pytest.mark.parametrize(("size", "nmax"), [(8, 63), (16, 15)])
def test_positive_columns_are_fitted_as_by_a_scalar_program(size: int, nmax: int) -> None:
    x = np.abs(hostile_columns(size))
    random = np.random.default_rng(6).random(x.shape).astype(np.float32)
    for w in (np.ones_like(x), random + np.float32(0.01)):
        with np.errstate(all="ignore"):
            scale, codes = fit_positive(x, w, nmax=nmax)
        for i in range(x.shape[1]):
            expected = positive(x[:, i].tolist(), w[:, i].tolist(), nmax=nmax)
            got = (float(scale[i]), codes[:, i].tolist())
            assert got == expected, f"column {x[:, i].tolist()}: {got} is not {expected}"


def test_the_descent_improves_the_fit() -> None:
    x = np.random.default_rng(8).standard_normal((16, 200)).astype(np.float32)
    codes = fit_signed(x, nmax=4)[1].astype(np.float64) - 4
    largest = x[np.abs(x).argmax(axis=0), range(200)]
    start = np.clip(np.rint(x * (-4 / largest)), -4, 3).astype(np.float64)
    moved = (codes != start).any(axis=0)
    assert moved.sum() > 20, f"only {moved.sum()} of 200 columns are moved"
    w = x.astype(np.float64) ** 2
    before, after = ((w * x * q).sum(axis=0) ** 2 / (w * q * q).sum(axis=0) for q in (start, codes))
    assert (after > before)[moved].all(), "each move betters eq. (1)"


FIVE_ROUNDS = [9, -12, 12, 12, 4, -12, 7, 4, -2, -8, 9, 5, 1, 8, -9, -11]
SIX_ROUNDS = [
    1.3686631917953491, -0.6178078651428223, 0.6506128311157227, -1.045520305633545,
    -0.11846642941236496, -1.7168687582015991, -1.2950332164764404, -1.3448562622070312,
    -0.7077738046618118, 0.42326146364212036, -1.1178876161575317, -1.5458744764328003,
    -0.7883096933364868, 0.0728737860918045, 1.6955599784851074, 0.8924756050109863,
]  # fmt: skip


def test_five_rounds_and_no_more() -> None:
    """One column in 10^5 is not done after four rounds, or would go on after five."""
    x = np.array([FIVE_ROUNDS, SIX_ROUNDS], np.float32).T
    scale, codes = fit_signed(x, nmax=4)
    for i in range(2):
        got = (float(scale[i]), codes[:, i].tolist())
        assert got == signed(x[:, i].tolist(), nmax=4), f"column {i}"


@pytest.mark.parametrize(
    ("x", "nmax", "scale", "codes"),
    [  # by `make_qp_quants` of libgguf 0.2.2, weights 1
        ([3, -1, 2, 1], 15, 0.20000000298023224, [15, 251, 10, 5]),
        ([1, -3, 0.1, 0.2], 63, 2307.0, [0, 255, 0, 0]),
        ([-1, -1, 2, 5], 3, 1.5833333730697632, [255, 255, 1, 3]),
    ],
)
def test_a_value_below_zero_wraps_as_in_c(
    x: list[float], nmax: int, scale: float, codes: list[int]
) -> None:
    """Scales are not negative, but a sum that rounds the wrong way might make one so."""
    column = np.array(x, np.float32)[:, None]
    got_scale, got_codes = fit_positive(column, np.ones_like(column), nmax=nmax)
    assert (float(got_scale[0]), got_codes[:, 0].tolist()) == (scale, codes), f"{x}, {nmax}"


def test_columns_without_weight_or_size_have_scale_zero() -> None:
    x = np.array([[1, 1e-16], [2, 0]], np.float32)
    with np.errstate(all="ignore"):
        scale, codes = fit_positive(x, np.zeros_like(x), nmax=63)
    assert scale.tolist() == [0.0, 0.0], "no weight, no scale"
    assert codes[:, 1].tolist() == [0, 0], "below 1e-15 counts as 0"
