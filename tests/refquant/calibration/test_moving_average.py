"""Moving average: its equation, and what its merge does not promise."""

from fractions import Fraction
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration.moving_average import MovingAverage

finite = st.floats(width=32, allow_nan=False, allow_infinity=False)
data = st.lists(finite, min_size=1, max_size=5).map(lambda v: np.array(v, np.float32))
batches = st.lists(data, min_size=1, max_size=8)
U64 = Fraction(1, 2**53)  # unit roundoff of float64


def fold(momentum: float, parts: list[Any]) -> MovingAverage:
    state = MovingAverage(momentum=momentum)
    for part in parts:
        state = state.update(part)
    return state


@given(parts=batches, momentum=st.sampled_from([0.0, 0.25, 0.5, 0.9, 0.99]))
def test_the_state_follows_its_equation(parts: list[Any], momentum: float) -> None:
    """Eq. (1) in rationals.

    A step rounds 1 - m, two products and a sum: at most 4 U of the largest extreme M, and the
    errors of earlier steps shrink by m < 1: after t steps at most 4 t U M, and a second-order
    term that the 5th unit covers.
    """
    m = Fraction(momentum)
    exact = [Fraction(float(parts[0].min())), Fraction(float(parts[0].max()))]
    for part in parts[1:]:
        exact[0] = m * exact[0] + (1 - m) * Fraction(float(part.min()))
        exact[1] = m * exact[1] + (1 - m) * Fraction(float(part.max()))
    state = fold(momentum, parts)
    largest = max(Fraction(float(np.abs(p).max())) for p in parts)
    bound = 5 * len(parts) * U64 * largest
    # Below 2^-1022 products would round absolutely; float32 data times m >= 2^-54 stay above.
    for got, wanted in zip((state.lo, state.hi), exact, strict=True):
        assert abs(Fraction(got) - wanted) <= bound, f"{got} is not {float(wanted)}"


@given(value=finite, n=st.integers(1, 50), momentum=st.sampled_from([0.0, 0.3, 0.9, 0.99]))
def test_a_constant_stream_has_its_constant_as_range(value: float, n: int, momentum: float) -> None:
    """Errors sum to at most 4 U / (1 - m) <= 400 U relative, far below float32's 2^-25."""
    lo, hi = fold(momentum, [np.array([value], np.float32)] * n).range()
    assert lo == hi == np.float32(value), "the average of equals is not equal"


def test_an_outlier_fades() -> None:
    calm, wild = np.array([-1.0, 1.0], np.float32), np.array([-1.0, 100.0], np.float32)
    tops = [float(fold(0.5, [calm, wild] + [calm] * n).range()[1]) for n in range(8)]
    assert tops[0] == 50.5, "half of the outlier, at first"
    assert tops == sorted(tops, reverse=True), "the outlier grows again"
    assert tops[-1] < 1.5, "the outlier stays"


def test_the_order_of_batches_matters() -> None:
    a, b = np.array([1.0], np.float32), np.array([2.0], np.float32)
    assert fold(0.9, [a, b]).range() != fold(0.9, [b, a]).range(), "it should forget"


def test_momentum_zero_keeps_the_last_batch() -> None:
    parts = [np.array([float(i), -float(i)], np.float32) for i in range(1, 5)]
    lo, hi = fold(0.0, parts).range()
    assert (float(lo), float(hi)) == (-4, 4), "not the last batch"


@given(a=batches, b=batches)
def test_merging_weighs_by_updates(a: list[Any], b: list[Any]) -> None:
    """Eq. (2) in rationals: two products, a sum, a quotient: 4 roundings, the 5th unit covers."""
    x, y = fold(0.9, a), fold(0.9, b)
    merged = x.merge(y)
    n, k = x.updates, y.updates
    wanted = (n * Fraction(x.hi) + k * Fraction(y.hi)) / (n + k)
    bound = 5 * U64 * max(abs(Fraction(x.hi)), abs(Fraction(y.hi)))
    assert abs(Fraction(merged.hi) - wanted) <= bound, "not the weighted mean"
    assert merged.updates == n + k, "updates add up"
    assert merged == y.merge(x), "the merge is commutative, exactly"
    assert merged.lo <= merged.hi, "the range is upside down"


def test_merging_is_not_the_average_of_one_stream() -> None:
    """Documented: the price of forgetting."""
    a, b = np.array([1.0], np.float32), np.array([2.0], np.float32)
    merged = fold(0.9, [a]).merge(fold(0.9, [b]))
    assert float(merged.range()[0]) == 1.5, "the merge weighs both alike"
    assert fold(0.9, [a, b]).range()[0] == np.float32(1.1), "the stream weighs the first by 0.9"
