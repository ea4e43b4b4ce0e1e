"""Entropy: the divergence by hand, the threshold by trying all."""

import math
from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.calibration import histogram as hist
from refquant.calibration.entropy import Entropy, divergence
from refquant.contracts import preset

counts = st.lists(st.integers(0, 9), min_size=2, max_size=24).filter(lambda h: sum(h) > 0)


def level_of(j: int, kept: int, levels: int) -> int:
    return 0 if j == 0 else 1 + floor(Fraction((j - 1) * (levels - 1), kept - 1))


def oracle(h: list[int], kept: int, levels: int) -> float:
    """Eqs. (1) to (3), elementwise in rationals; only the logarithm is a float."""
    p = [Fraction(c) for c in h[:kept]]
    p[-1] += sum(h[kept:])
    q = []
    for j in range(kept):
        of_j = level_of(j, kept, levels)
        group = [k for k in range(kept) if level_of(k, kept, levels) == of_j]
        share = sum(1 for k in group if p[k] > 0)
        q.append(Fraction(sum(h[k] for k in group), share) if p[j] > 0 else Fraction(0))
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return math.inf
    terms = (a * Fraction(math.log(a / b)) for a, b in zip(p, q, strict=True) if a)
    return float(sum(terms) / sum(p))


@given(h=counts, data=st.data())
def test_the_divergence_is_that_of_its_equations(h: list[int], data: Any) -> None:
    """Bound: P/Q has two roundings, which the log makes absolute: 3 U; the log itself one ulp of

    at most 8 (P/Q <= 9 * 24 * 24), both sides: 16 U; the product 8 U; the sum of 24 terms and the
    division 25 * 8 U. Weighted by P they sum to |error| <= (3 + 16 + 8 + 200) U < 256 U.
    """
    kept = data.draw(st.integers(2, len(h)))
    levels = data.draw(st.integers(2, kept))
    got, wanted = divergence(np.array(h, np.int64), kept, levels=levels), oracle(h, kept, levels)
    if math.isinf(wanted):
        assert math.isinf(got), f"Q misses some of P, yet D = {got}"
    else:
        assert abs(got - wanted) <= 256 * 2.0**-53, f"D = {got}, by hand {wanted}"
        assert got >= -256 * 2.0**-53, "a divergence is not negative"


@given(h=counts)
def test_keeping_all_is_finite_and_one_level_a_bin_is_perfect(h: list[int]) -> None:
    n, array = len(h), np.array(h, np.int64)
    assert math.isfinite(divergence(array, n, levels=2)), "nothing is clipped, D is finite"
    assert divergence(array, n, levels=n) == 0, "as many levels as bins tell everything"


@given(
    x=st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=200),
    num_bits=st.sampled_from([2, 3, 4]),
)
def test_the_threshold_is_the_widest_of_the_best(x: list[float], num_bits: int) -> None:
    state = Entropy(bins=64).update(np.array(x, np.float32))
    h = hist.fold(state.histogram)
    width = 2.0**state.histogram.exponent
    levels = 2 ** (num_bits - 1)
    tried = range(levels, h.size + 1)
    best = min(((divergence(h, i, levels=levels), -i) for i in tried), default=(0.0, -h.size))
    threshold = min(-best[1] * width, max(map(abs, x)))
    lo, hi = state.range(num_bits=num_bits)
    assert lo == np.float32(max(min(x), -threshold)), "the lower end is not cut at -T"
    assert hi == np.float32(min(max(x), threshold)), "the upper end is not cut at T"


def test_an_outlier_is_cut_and_a_full_range_is_kept() -> None:
    even = np.linspace(-1, 1, 100_001).astype(np.float32)
    lo, hi = Entropy().update(np.append(even, np.float32(8))).range()
    assert lo == -1, "the data's own end was cut"
    assert 1 <= hi < 1.1, f"the outlier moved the threshold to {hi}"
    assert tuple(map(float, Entropy().update(even).range())) == (-1, 1), (
        "an even spread has no tail to cut"
    )


def test_few_bins_keep_the_data() -> None:
    x = np.array([-1.0, 100.0], np.float32)
    lo, hi = Entropy(bins=64).update(x).range()
    assert (float(lo), float(hi)) == (-1, 100), "fewer bins than levels: no search"


@pytest.mark.parametrize("sign", [1, -1])
def test_data_with_a_gap_at_zero_are_not_clipped_to_one_bin(sign: int) -> None:
    """The usual, rescaled divergence is 0 there, and throws away all but one bin."""
    x = (sign * np.linspace(0.5, 1, 50_001)).astype(np.float32)
    assert Entropy().update(x).range() == (x.min(), x.max()), "an even spread was cut"


def test_the_zeros_of_a_relu_do_not_decide() -> None:
    """Half of the elements are zero; the threshold is that of the others, within 10 percent."""
    normal = np.abs(np.random.default_rng(0).standard_normal(100_000)).astype(np.float32)
    relu = np.append(normal, np.zeros(100_000, np.float32))
    with_zeros, without = (float(Entropy().update(x).range()[1]) for x in (relu, normal))
    assert with_zeros > 3, f"zeros moved the threshold to {with_zeros}"
    assert abs(with_zeros - without) <= 0.1 * without, f"{with_zeros} with zeros, {without} without"


@pytest.mark.parametrize("num_bits", [0, 1, 17])
def test_one_bit_has_no_level_but_zero(num_bits: int) -> None:
    state = Entropy(bins=16).update(np.ones(3, np.float32))
    with pytest.raises(
        ValueError, match=rf"in \[2, 16\] for 'entropy', got {num_bits}; .*use 'mse"
    ):
        state.range(num_bits=num_bits)
    with pytest.raises(ValueError, match="with one bit zero is its only level"):
        state.qparams(dtype="uint1", symmetric=False, contract=preset("onnx"))
