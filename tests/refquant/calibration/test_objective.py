"""The expected error against exact integrals in rationals."""

from fractions import Fraction
from itertools import pairwise
from math import ceil, floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration import histogram as hist
from refquant.calibration.objective import check_bits, expected_error, uniform_grid

HALF = Fraction(1, 2)
data = st.lists(st.floats(-8, 8, width=32), min_size=1, max_size=12).map(
    lambda v: np.array(v, np.float32)
)


def integral(a: Fraction, b: Fraction, n_min: int, n_max: int, p: int) -> Fraction:
    """The integral of |t - clip(rint(t))|^p over [a, b], piece by piece between the ties."""
    ties = [n + HALF for n in range(n_min, n_max)]
    marks = [Fraction(n) for n in range(n_min, n_max + 1)]
    cuts = sorted({a, b, *(c for c in ties + marks if a < c < b)})
    total = Fraction(0)
    for left, right in pairwise(cuts):
        middle = (left + right) / 2
        n = min(max(floor(middle + HALF), n_min), n_max)  # no tie inside a piece
        ends = sorted((abs(left - n), abs(right - n)))
        total += (ends[1] ** (p + 1) - ends[0] ** (p + 1)) / (p + 1)
    return total


@given(
    x=data,
    step=st.sampled_from([1.0, 0.5, 3.0, 0.0625, 10.0]),
    n_min=st.integers(-9, 0),
    n_max=st.integers(0, 9),
    p=st.integers(1, 4),
)
def test_the_expected_error_is_the_exact_integral(
    x: Any, step: float, n_min: int, n_max: int, p: int
) -> None:
    """Bound: G is 8 float64 operations from exact data, and is subtracted from itself.

    |G| <= (2 |n| + |r|^(p+1)) on [a, b]; the difference errs by 16 U (|G(a)| + |G(b)|), the sum
    over bins and the division add less than bins + 8 more relative roundings.
    """
    h = hist.add(hist.EMPTY, x, bins=16)
    width = Fraction(2) ** h.exponent
    s = Fraction(step)
    wanted, scale = Fraction(0), Fraction(0)
    for i, count in enumerate(h.counts.tolist()):
        a, b = (h.first + i) * width / s, (h.first + i + 1) * width / s
        wanted += count * integral(a, b, n_min, n_max, p) / (b - a)
        g = 2 * (abs(n_min) + n_max) + max(abs(a), abs(b)) ** (p + 1) + 2
        scale += count * 2 * g / (b - a)
    factor = (s / width) ** p / x.size
    got = Fraction(expected_error(h, (step, n_min, n_max), norm=float(p)))
    bound = (16 + 16 + 8) * Fraction(1, 2**53) * scale * factor
    assert abs(got - wanted * factor) <= bound, "the closed form is not the integral"


def test_fine_bins_give_the_error_of_the_elements() -> None:
    """A bin is at most w wide, so an element's error is known within w, one side or the other."""
    x = np.random.default_rng(0).standard_normal(2000).astype(np.float32)
    h = hist.add(hist.EMPTY, x, bins=65536)
    s, n_min, n_max = grid = uniform_grid(-2.0, 2.0, num_bits=4, symmetric=False)
    w = 2.0**h.exponent
    error = np.abs(x - s * np.clip(np.rint(x / s), n_min, n_max)).astype(np.float64)
    low, high = np.mean(np.maximum(error - w, 0) ** 2), np.mean((error + w) ** 2)
    assert low <= expected_error(h, grid, norm=2.0) * w**2 <= high, "not the mean square error"


@pytest.mark.parametrize("num_bits", [1, 2, 3, 8, 16])
@pytest.mark.parametrize(("lo", "hi"), [(-1.0, 2.0), (0.0, 1.0), (-5.0, 0.0), (-1e-40, 1e38)])
def test_the_grid_spans_the_range(lo: float, hi: float, num_bits: int) -> None:
    s, n_min, n_max = uniform_grid(lo, hi, num_bits=num_bits, symmetric=False)
    assert n_max - n_min == 2**num_bits - 1, "a code is missing"
    assert n_min <= 0 <= n_max, "zero is not a mark"
    # The first mark is the nearest to lo; and s has one rounding, n_max of them add up.
    slack = Fraction(s) * (HALF + Fraction(n_max - n_min + 1, 2**52))
    assert abs(Fraction(s) * n_min - Fraction(lo)) <= slack, "lo is off by more than half a step"
    assert abs(Fraction(s) * n_max - Fraction(hi)) <= slack, "hi is off by more than half a step"


def test_a_symmetric_grid_is_symmetric() -> None:
    s, n_min, n_max = uniform_grid(-1.0, 127.0, num_bits=8, symmetric=True)
    assert (s, n_min, n_max) == (1.0, -127, 127), "eq. (4)"


def test_a_step_of_zero_maps_all_to_zero() -> None:
    zeros = hist.add(hist.EMPTY, np.zeros(3, np.float32), bins=4)
    ones = hist.add(hist.EMPTY, np.ones(3, np.float32), bins=4)
    assert expected_error(zeros, (0.0, 0, 255), norm=2.0) == 0, "zeros cost nothing"
    assert expected_error(ones, (0.0, 0, 255), norm=2.0) == np.inf, "ones cannot be zeros"


@pytest.mark.parametrize("num_bits", [-1, 0, 17])
def test_bits_outside_the_formats_are_refused(num_bits: int) -> None:
    for symmetric in (False, True):
        with pytest.raises(ValueError, match=rf"num_bits must be in \[1, 16\], got {num_bits}"):
            check_bits(num_bits, symmetric=symmetric)


def test_one_bit_has_no_symmetric_range() -> None:
    check_bits(1, symmetric=False)
    with pytest.raises(ValueError, match=r"in \[2, 16\] for a symmetric range, got 1; .*: use an"):
        check_bits(1, symmetric=True)


@given(x=data)
def test_one_bit_is_the_better_of_two_marks(x: Any) -> None:
    """Half way between 0 and s the nearer mark changes; its error is that of the integral."""
    h = hist.add(hist.EMPTY, x, bins=8)
    width = Fraction(2) ** h.exponent
    for lo, hi in ((0.0, 2.0), (-2.0, 0.0), (-1.0, 3.0)):
        s, n_min, n_max = uniform_grid(lo, hi, num_bits=1, symmetric=False)
        assert (n_min, n_max) in ((0, 1), (-1, 0)), "zero and one more"
        wanted = Fraction(0)
        for i, count in enumerate(h.counts.tolist()):
            a, b = ((h.first + i + k) * width / Fraction(s) for k in (0, 1))
            wanted += count * integral(a, b, n_min, n_max, 2) / (b - a)
        wanted *= (Fraction(s) / width) ** 2 / x.size
        got = Fraction(expected_error(h, (s, n_min, n_max), norm=2.0))
        # The closed form cancels |r|^3 / 3 of both edges: 32 U of their size, as above.
        edge = max(abs(h.first), abs(h.first + len(h.counts))) * width / Fraction(s) + 1
        scale = 2 * (edge**3 + 4) * Fraction(s) / width * (Fraction(s) / width) ** 2
        assert abs(got - wanted) <= 32 * Fraction(1, 2**53) * scale, "another error"


def test_the_oracle_of_these_tests_knows_the_arch() -> None:
    assert integral(Fraction(0), Fraction(1), 0, 1, 2) == Fraction(1, 12), "an arch is 1/12"
    assert ceil(HALF) == 1, "rationals round as rationals"
