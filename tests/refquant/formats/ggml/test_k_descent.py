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


def test_columns_without_weight_or_size_have_scale_zero() -> None:
    x = np.array([[1, 1e-16], [2, 0]], np.float32)
    with np.errstate(all="ignore"):
        scale, codes = fit_positive(x, np.zeros_like(x), nmax=63)
    assert scale.tolist() == [0.0, 0.0], "no weight, no scale"
    assert codes[:, 1].tolist() == [0, 0], "below 1e-15 counts as 0"
