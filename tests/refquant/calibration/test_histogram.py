"""The bins are exact: every count is what integer arithmetic says."""

from collections import Counter
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration import histogram as hist

F32_MAX = float(np.finfo(np.float32).max)
TINY = 2.0**-149
element = st.one_of(
    st.sampled_from([0.0, -0.0, 1.0, -1.0, TINY, -TINY, F32_MAX, -F32_MAX, 0.5, 4.0, -4.0]),
    st.integers(-64, 64).map(float),  # on the marks
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
data = st.lists(element, min_size=1, max_size=40).map(lambda v: np.array(v, np.float32))
capacity = st.sampled_from([2, 3, 7, 64, 2048, 65536])


def bin_of(x: float, exponent: int) -> int:
    """Eq. (1) in rationals."""
    return floor(Fraction(x) / Fraction(2) ** exponent)


def bins_needed(lo: float, hi: float, exponent: int) -> int:
    return bin_of(max(hi, 0.0), exponent) - bin_of(min(lo, 0.0), exponent) + 1


@given(x=data, bins=capacity)
def test_every_count_is_exact(x: Any, bins: int) -> None:
    h = hist.add(hist.EMPTY, x, bins=bins)
    wanted = Counter(bin_of(float(v), h.exponent) for v in x)
    got = {h.first + i: int(c) for i, c in enumerate(h.counts) if c}
    assert got == dict(wanted), "a count differs from integer arithmetic"
    assert h.count == x.size, "an element was lost"
    assert (h.lo, h.hi) == (float(x.min()), float(x.max())), "the extremes are exact"


@given(x=data, bins=capacity)
def test_the_step_is_the_smallest_that_fits(x: Any, bins: int) -> None:
    h = hist.add(hist.EMPTY, x, bins=bins)
    assert h.counts.size == bins_needed(h.lo, h.hi, h.exponent), "the bins are not those of (3)"
    assert h.counts.size <= bins, "more bins than allowed"
    assert -149 <= h.exponent <= 128, "an exponent outside float32"
    if h.exponent > -149:
        assert bins_needed(h.lo, h.hi, h.exponent - 1) > bins, "a finer step would fit"
        width = Fraction(max(h.hi, 0.0)) - Fraction(min(h.lo, 0.0))
        assert Fraction(2) ** h.exponent < 2 * width / (bins - 1), "the bound (4) is broken"


@given(x=data, bins=capacity, cuts=st.lists(st.integers(0, 40), max_size=4))
def test_the_cut_into_batches_does_not_show(x: Any, bins: int, cuts: list[int]) -> None:
    h = hist.EMPTY
    for part in np.split(x, sorted(cuts)):
        if part.size:
            h = hist.add(h, part, bins=bins)
    assert h == hist.add(hist.EMPTY, x, bins=bins), "batches show"


def test_a_range_that_grows_over_all_of_float32_conserves_counts() -> None:
    h = hist.EMPTY
    for n, exponent in enumerate(range(-149, 128), start=1):
        h = hist.add(h, np.array([2.0**exponent], np.float32), bins=16)
        assert h.count == n, f"an element was lost at 2^{exponent}"
        assert h.counts.size <= 16, f"more bins than allowed at 2^{exponent}"


@given(x=data, bins=capacity)
def test_marks_are_float32(x: Any, bins: int) -> None:
    marks = hist.edges(hist.add(hist.EMPTY, x, bins=bins))
    inside = np.abs(marks) <= F32_MAX
    assert (marks[inside] == marks[inside].astype(np.float32)).all(), "a mark is not a float32"
    assert inside[1:-1].all(), "only the outermost marks may leave float32"
    assert 0.0 in marks, "zero is always a mark"


@given(x=data, bins=capacity)
def test_folding_counts_absolute_values(x: Any, bins: int) -> None:
    h = hist.add(hist.EMPTY, x, bins=bins)
    step = Fraction(2) ** h.exponent
    wanted: Counter[int] = Counter()
    for value in map(float, x):
        i = floor(Fraction(value) / step)
        wanted[i if i >= 0 else -1 - i] += 1
    got = {j: int(c) for j, c in enumerate(hist.fold(h)) if c}
    assert got == dict(wanted), "folding moved an element"


def test_histograms_with_equal_counts_at_different_steps_differ() -> None:
    a = hist.add(hist.EMPTY, np.array([1.0], np.float32), bins=8)
    b = hist.add(hist.EMPTY, np.array([2.0], np.float32), bins=8)
    assert a.counts.tolist() == b.counts.tolist(), "the same picture ..."
    assert a != b, "... at another step is another histogram"
    assert a != "a", "a histogram is no string"


def test_a_state_cannot_be_changed() -> None:
    h = hist.add(hist.EMPTY, np.array([1.0], np.float32), bins=8)
    for held in (h, hist.EMPTY):
        with pytest.raises(ValueError, match="read-only"):
            held.counts[0] = 7
