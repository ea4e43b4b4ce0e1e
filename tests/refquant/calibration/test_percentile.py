"""Percentile: the order statistics, up to the bin they are in."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration.min_max import MinMax
from refquant.calibration.percentile import Percentile

element = st.one_of(
    st.integers(-9, 9).map(float),
    st.floats(-1, 1, width=32),
    st.floats(width=32, allow_nan=False, allow_infinity=False),
)
data = st.lists(element, min_size=1, max_size=60).map(lambda v: np.array(v, np.float32))


@given(x=data, bins=st.sampled_from([2, 5, 64, 2048]))
def test_the_hundredth_percentile_is_min_max(x: Any, bins: int) -> None:
    got = Percentile(percentile=100.0, bins=bins).update(x).range()
    assert got == MinMax().update(x).range(), "nothing may be cut off, not even half a bin"


@given(
    x=data,
    bins=st.sampled_from([2, 5, 64, 2048]),
    percentile=st.sampled_from([0.1, 1.0, 50.0, 90.0, 95.5, 99.9]),
)
def test_the_range_is_within_a_bin_of_the_order_statistics(
    x: Any, bins: int, percentile: float
) -> None:
    """Eq. (3) in rationals."""
    state = Percentile(percentile=percentile, bins=bins).update(x)
    width = Fraction(2) ** state.histogram.exponent
    ordered = sorted(Fraction(float(v)) for v in x)
    d = int(len(ordered) * (100 - Fraction(str(percentile))) / 200)
    lo_star, hi_star = ordered[d], ordered[len(ordered) - 1 - d]
    lo, hi = (Fraction(float(v)) for v in state.range())
    assert lo_star - width < lo <= lo_star, "the lower end is in another bin"
    assert hi_star <= hi <= hi_star + width, "the upper end is in another bin"


@pytest.mark.parametrize(("n", "dropped"), [(1999, 0), (2000, 1), (2001, 1), (4000, 2)])
def test_the_percentile_is_the_decimal_as_written(n: int, dropped: int) -> None:
    """99.9 is 99.900000000000005684... in float64, which would drop one too few."""
    x = np.arange(n, dtype=np.float32)  # one element a bin: 2001 elements, 4096 bins
    lo, hi = Percentile(percentile=99.9, bins=8192).update(x).range()
    assert float(lo) == dropped, f"{float(lo)} elements dropped below, not {dropped}"
    assert n - 1 - dropped <= float(hi) <= n - dropped, "the upper end drops another number"


def test_a_wider_percentile_never_narrows() -> None:
    x = np.random.default_rng(0).standard_normal(5000).astype(np.float32)
    ranges = [Percentile(percentile=p).update(x).range() for p in (10.0, 50, 90, 99, 99.9, 100)]
    for (a, b), (c, d) in pairwise(ranges):
        assert c <= a, "the lower end moved in"
        assert b <= d, "the upper end moved in"


def test_an_outlier_is_cut() -> None:
    x = np.append(np.linspace(-1, 1, 9999), 1000).astype(np.float32)
    lo, hi = Percentile(percentile=99.0, bins=65536).update(x).range()
    assert lo >= -1, "below the data"
    assert hi <= 1, "the outlier stayed"
