"""Sums in pairs: the oracle's bits, NumPy's bits, and windows that are cut."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.geometry import Geometry
from refquant_conformance.arithmetic.pairwise import pairwise_means, pairwise_sums
from refquant_conformance.oracle_numpy import pairwise_exact

LENGTHS = [*range(34), 63, 64, 65, 127, 128, 129, 135, 136, 143, 144, 256, 257, 272, 1000, 8199]


def drawn(shape: tuple[int, ...]) -> np.ndarray:
    """Return numbers of several sizes: another order gives another sum."""
    rng = np.random.default_rng(sum(shape))
    return (rng.standard_normal(shape) * 10.0 ** rng.integers(-2, 4, shape)).astype(np.float32)


@pytest.mark.parametrize("n", LENGTHS)
def test_three_count_the_same(n: int) -> None:
    x = drawn((4, n))
    made = pairwise_sums(x).tolist()
    assert made == [pairwise_exact(row) for row in x.tolist()], f"{n}: the oracle"
    assert made == x.sum(axis=-1).tolist(), f"{n}: NumPy"


def test_the_order_matters() -> None:
    x = drawn((40, 9))
    straight = np.zeros(40, np.float32)
    for k in range(9):
        straight = straight + x[:, k]
    assert (pairwise_sums(x) != straight).any(), "nine numbers in a row are another sum"


@pytest.mark.parametrize("counted", [0, 1])
def test_windows_are_cut_before_they_are_summed(counted: int) -> None:
    x, window = drawn((2, 3, 6, 7)), Geometry((6, 7), (4, 3), (2, 1), (2, 1, 1, 1), (1, 1))
    made, (rows, columns) = pairwise_means(x, window, counted), window.output
    for row in range(rows):
        for column in range(columns):
            places = window.places((row, column))
            held = [np.float32(0) if p is None else x[1, 2][p] for p in places]
            kept = [v for v, p in zip(held, places, strict=True) if counted or p is not None]
            wanted = np.average(np.array(kept, np.float32))
            assert made[1, 2, row, column] == wanted, f"({row}, {column})"


def test_a_window_of_padding_has_no_mean() -> None:
    window = Geometry((1, 1), (1, 1), (1, 1), (1, 1, 1, 1), (1, 1))
    made = pairwise_means(np.ones((1, 1, 1, 1), np.float32), window, 0)[0, 0]
    assert np.isnan(made).sum() == 8, "all but the one element"
    assert made[1, 1] == 1.0, "the element"
