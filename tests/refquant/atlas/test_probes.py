"""Rulers, ties and specials."""

from fractions import Fraction

import numpy as np

from refquant.atlas.probes import RULERS, Ruler, near_ties, special


def test_rulers_are_distinct_float32_and_begin_with_the_simplest() -> None:
    assert RULERS[0] == Ruler(1.0, 0), "scale 1, zero point 0 is the simplest"
    assert len(set(RULERS)) == len(RULERS), "a ruler twice"
    for ruler in RULERS:
        assert float(np.float32(ruler.scale)) == ruler.scale, f"{ruler} has no float32 scale"
        assert -128 <= ruler.zero_point <= 127, f"{ruler} has no int8 zero point"


def test_each_tie_stands_between_its_neighbours() -> None:
    for ruler in RULERS:
        x = near_ties(ruler)
        assert x.shape == (2 * 3 * 128,), f"{ruler}: {x.shape}"
        assert np.array_equal(x[:384], -x[384:]), f"{ruler}: not both signs"
        for k in (0, 1, 127):
            below, tie, above = x[3 * k : 3 * k + 3]
            exact = (k + Fraction(1, 2)) * Fraction(ruler.scale)
            assert Fraction(float(below)) < exact < Fraction(float(above)), f"{ruler}, tie {k}"
            nearest = min((below, tie, above), key=lambda v: abs(Fraction(float(v)) - exact))
            assert nearest == tie, f"{ruler}: {tie!r} is not the float nearest to tie {k}"


def test_specials_lie_beyond_the_codes_or_are_no_numbers() -> None:
    x = special(Ruler(0.5, 0))
    assert np.signbit(x[:2]).tolist() == [False, True], "both zeros come first"
    quotients = np.abs(x[2:-1].astype(np.float64) / 0.5)
    assert (quotients > 128).all(), f"within int8: {x}"
    assert (quotients >= 2.0**31).sum() == 10, f"within int32, or not both signs: {x}"
    assert np.isinf(x).sum() == 2, "both infinities"
    assert np.isnan(x[-1]), "NaN is last"
