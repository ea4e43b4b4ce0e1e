"""OCTAV: a fixed point of Newton's step, by fractions, and the best clip where codes are dense."""

from fractions import Fraction

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.algorithms.octav import octav

F32 = NDArray[np.float32]


def objective(x: list[Fraction], s: Fraction, dense: Fraction) -> Fraction:
    """J of equation 1."""
    inside = sum(1 for v in x if 0 < v <= s)
    outside = sum(((v - s) ** 2 for v in x if v > s), Fraction(0))
    return dense * s * s * inside + outside


def newton(x: list[Fraction], s: Fraction, dense: Fraction) -> Fraction:
    """The step of equation 2."""
    above = [v for v in x if v > s]
    inside = sum(1 for v in x if 0 < v <= s)
    return sum(above, Fraction(0)) / (dense * inside + len(above)) if above else s


def groups(seed: int) -> F32:
    rng = np.random.default_rng(seed)
    x = rng.standard_t(4, (5, 60))
    x[rng.random(x.shape) < 0.2] = 0.0  # zeros are no part of (1)
    return x.astype(np.float32)


@pytest.mark.parametrize("bits", [2, 3, 4, 8])
@pytest.mark.parametrize("one_sided", [False, True])
def test_newton_stays_there_or_in_a_pair_and_beats_its_neighbours(
    bits: int, one_sided: bool
) -> None:
    x = np.abs(groups(1)) if one_sided else groups(1)
    lo, hi = octav(x, num_bits=bits, max_iterations=40, one_sided=one_sided)
    dense = Fraction(1, 4**bits * (12 if one_sided else 3))
    assert lo.tolist() == ([0.0] * 5 if one_sided else (-hi).tolist()), "the other end"
    for row in range(5):
        values = [Fraction(abs(float(v))) for v in x[row]]
        s = Fraction(float(hi[row]))
        once = newton(values, s, dense)
        twice = newton(values, once, dense)
        # hi is s rounded to float32, and s a quotient of float64 sums.
        error = min(abs(once - s), abs(twice - s))
        assert error <= s / 2**22, f"row {row}: {float(s)} -> {float(once)} -> {float(twice)}"
        here = objective(values, s, dense)
        for factor in (Fraction(7, 10), Fraction(9, 10), Fraction(11, 10), Fraction(3, 2)):
            assert here < objective(values, s * factor, dense), f"row {row}: times {factor}"


def test_witness_fewer_bits_clip_more() -> None:
    x = np.random.default_rng(2).standard_normal((1, 4000)).astype(np.float32)
    clips = [float(octav(x, num_bits=b, max_iterations=40)[1][0]) for b in (2, 3, 4, 6, 8)]
    assert clips == sorted(clips), f"of a normal distribution, in standard deviations: {clips}"
    # ACIQ's closed form for a Gauss density: 1.7106, 2.1516, 2.5591 (refquant.algorithms.aciq).
    # 4000 samples know the tail beyond 2.56 (1 %: 40 samples) to about 1 / sqrt(40).
    for got, density in zip(clips, (1.7106, 2.1516, 2.5591), strict=False):
        assert abs(got / density - 1) < 40**-0.5, f"two ways to one number: {got}, {density}"


def test_never_above_the_largest() -> None:
    x = np.array([[1.0, 1.0, 1.0], [0.0, 0.0, 0.0], [0.0, 0.0, -2.0]], np.float32)
    lo, hi = octav(x, num_bits=4, max_iterations=20)
    assert (lo.tolist(), hi.tolist()) == ([-1.0, 0.0, -2.0], [1.0, 0.0, 2.0]), "flat, zero, one"


def test_one_step_is_one_step() -> None:
    x = np.array([[1.0, 2.0, 6.0]], np.float32)  # start 3; above it 6; 6 / (2/48 + 1) = 5.76
    assert octav(x, num_bits=2, max_iterations=1)[1].tolist() == [np.float32(5.76)], "by hand"


def test_bad_arguments_are_refused() -> None:
    x = np.ones((1, 4), np.float32)
    for bits, steps in ((0, 5), (17, 5), (4, 0)):
        with pytest.raises(ValueError, match="num_bits must be"):
            octav(x, num_bits=bits, max_iterations=steps)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="groups must be finite"):
            octav(x * np.float32(bad), num_bits=4, max_iterations=5)
    with pytest.raises(ValueError, match="finite and not negative"):
        octav(-x, num_bits=4, max_iterations=5, one_sided=True)
