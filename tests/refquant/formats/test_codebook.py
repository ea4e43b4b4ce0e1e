"""The nearest entry, judged by fractions at every midpoint and its neighbours."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.bnb_fp4 import BNB_FP4
from refquant.formats.codebook import TIES, float32_input, fused_linspace, midpoints, nearest
from refquant.formats.dynamic_map import DYNAMIC_SIGNED, DYNAMIC_UNSIGNED
from refquant.formats.nf4 import NF4
from tests.refquant.formats.codebook_inputs import F32, neighbours
from tests.refquant.formats.codebook_oracle import bounds_of, place

BOOKS: dict[str, F32] = {
    "nf4": NF4,
    "fp4": np.sort(BNB_FP4),  # holds zero twice
    "signed": DYNAMIC_SIGNED,
    "unsigned": DYNAMIC_UNSIGNED,
    "two": np.array([-1, 1], np.float32),
    "huge": np.array([-3e38, 0, 1e-45, 3e38], np.float32),
    "sums beyond float32": np.array([-3.4e38, -3e38, 1e38, 3e38, 3.4e38], np.float32),
}


@pytest.mark.parametrize("name", BOOKS)
def test_midpoints_are_the_nearest_float32(name: str) -> None:
    book = BOOKS[name]
    assert midpoints(book).tolist() == bounds_of(book.tolist()), "the middles of neighbours"


@pytest.mark.parametrize("name", BOOKS)
@pytest.mark.parametrize("ties", TIES)
def test_places_are_those_of_the_exact_oracle(name: str, ties: str) -> None:
    book = BOOKS[name]
    x = np.concatenate(
        [neighbours(midpoints(book), steps=1), book, np.array([-0.0, 9, -9], np.float32)]
    )
    x = x[np.isfinite(x)][:: 1 if book.size < 100 else 5]
    bounds = bounds_of(book.tolist())
    expected = [place(float(v), bounds, ties) for v in x]
    assert nearest(x, book, ties=ties).tolist() == expected, f"{name}, ties {ties}"


@pytest.mark.parametrize("name", BOOKS)
def test_no_entry_is_nearer_by_more_than_the_rounding_of_a_midpoint(name: str) -> None:
    """The float32 midpoint is off by at most half its last place, so the loss is at most that."""
    book = BOOKS[name]
    x = neighbours(midpoints(book), steps=1)[::3]
    places = nearest(x, book, ties="low")
    entries = [Fraction(float(v)) for v in book]
    for v, k in zip(x, places, strict=True):
        distances = [abs(Fraction(float(v)) - entry) for entry in entries]
        slack = Fraction(float(np.spacing(np.abs(v)))) / 2
        assert distances[int(k)] <= min(distances) + 2 * slack, f"{v} -> {k}"


def test_every_entry_is_its_own_place_unless_it_is_there_twice() -> None:
    for name, book in BOOKS.items():
        assert (book[nearest(book, book, ties="low")] == book).all(), name


def test_specials_go_to_the_ends() -> None:
    x = np.array([np.nan, np.inf, -np.inf], np.float32)
    assert nearest(x, NF4, ties="low").tolist() == [15, 15, 0], "NaN is sorted last"


def test_the_step_of_linspace_has_one_rounding() -> None:
    """Minimal input found beside PyTorch 2.13.0: two roundings differ at 9 points of [0.1, 1]."""
    fused = fused_linspace(0.1, 1, 9)
    step = (np.float32(1) - np.float32(0.1)) / np.float32(8)
    twice = np.float32(0.1) + step * np.arange(4, dtype=np.float32)
    exact = [Fraction(float(np.float32(0.1))) + i * Fraction(float(step)) for i in range(4)]
    assert fused[:4].tolist() == [float(np.float32(float(v))) for v in exact], "rounded once"
    assert (fused[:4] != twice).any(), "else the test says nothing"
    assert fused[-1] == 1.0, "the end is the end"


def test_bad_input_is_refused() -> None:
    x = np.zeros(1, np.float32)
    with pytest.raises(ValueError, match="ties must be one of low, high, even"):
        nearest(x, NF4, ties="up")
    for values in (NF4[::-1], NF4[:1], np.zeros(257, np.float32)):
        with pytest.raises(ValueError, match="2 to 256 ascending"):
            nearest(x, values, ties="low")
    with pytest.raises(ValueError, match="x must be float32, got float64"):
        float32_input(np.zeros(1))
    with pytest.raises(ValueError, match="finite"):
        float32_input(np.array([np.inf], np.float32), finite=True)
