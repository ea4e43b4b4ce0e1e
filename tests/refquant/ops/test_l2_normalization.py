"""Vectors of length one: the exact quotient bounds them, integers by hand, codes of LiteRT."""

from fractions import Fraction
from math import isqrt

import numpy as np
import pytest

from refquant.ops.l2_normalization import LONGEST, inverse_root, l2_normalize

# LiteRT 2.3.0, the kernel of every resolver.
LITERT = {
    ((3, 4), 0): [77, 102],
    ((-9, 0), 0): [-128, 0],
    ((100, 100, 100, 100), 0): [64] * 4,
    ((127, -128, 5), 5): [87, -94, 0],
    ((1, 0, 0), 0): [127, 0, 0],
    ((2, 0), 1): [91, -91],
}


@pytest.mark.parametrize("case", LITERT)
def test_codes_of_litert(case: tuple[tuple[int, ...], int]) -> None:
    codes, zero = case
    assert l2_normalize(np.array([codes], np.int8), zero_point=zero).tolist() == [LITERT[case]]


ROOTS = [2, 3, 4, 5, 7, 255, 2**16 - 1, 2**27, 2**29 - 1, 2**29, 2**29 + 3, 2**30, 2**31 - 1]


@pytest.mark.parametrize("a", [*ROOTS, 65025 * LONGEST])
def test_five_steps_of_newton_are_as_near_as_they_can_be(a: int) -> None:
    """With y = x sqrt(alpha), y' = y (3 - y^2) / 2 from y in [1/2, 1): 1/2 ends 1.3e-6 below 1.

    Besides, the last step and the product are rounded: less than 16 of 2^-28, twice in the square.
    """
    least = Fraction(1, 2)
    for _ in range(5):
        least = least * (3 - least**2) / 2
    root, right = inverse_root(a)
    assert 0 < root < 1 << 31, "31 bits"
    squared = Fraction(root, 1 << (31 + right)) ** 2 * a
    assert least**2 - Fraction(1, 1 << 23) < squared < 1 + Fraction(1, 1 << 23), f"of {a}"


def test_a_code_is_the_nearest_but_at_ties() -> None:
    """|y - 128 d / sqrt(a)| <= 1/2 + 128 * 2^-19, by the bound above: exact integers, no float."""
    rng = np.random.default_rng(5)
    x = rng.integers(-128, 128, (300, 9)).astype(np.int8)
    x[:40] = rng.integers(-2, 3, (40, 9))
    made = l2_normalize(x, zero_point=3)
    for row, codes in zip((x.astype(int) - 3).tolist(), made.tolist(), strict=True):
        a = sum(d * d for d in row) << 40  # sqrt(a) with 20 bits behind the point
        for d, y in zip(row, codes, strict=True):
            if a and y != 127:
                exact = Fraction(128 * d << 20, isqrt(a))
                assert abs(y - exact) <= Fraction(1, 2) + Fraction(1, 1 << 12), (d, y, float(exact))


def test_no_length_is_no_length() -> None:
    x = np.full((2, 3, 4), -7, np.int8)
    assert not l2_normalize(x, zero_point=-7).any(), "zeros"
    x[1, 2, 0] = -6
    assert l2_normalize(x, zero_point=-7)[1, 2].tolist() == [127, 0, 0, 0], "of length 1"


def test_long_vectors() -> None:
    """128 / sqrt(20000) is 0.905; the sum, 1.3e9, is moved right before it has a root."""
    x = np.full((1, 20000), 127, np.int8)
    assert set(l2_normalize(x, zero_point=-128)[0].tolist()) == {1}, "of 255 each"


NONE = [np.zeros((1, 0), np.int8), np.zeros((1, 3), np.uint8), np.zeros((), np.int8),
        np.zeros((1, LONGEST + 1), np.int8)]  # fmt: skip


@pytest.mark.parametrize("x", NONE)
def test_what_is_no_vector_is_refused(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="x must be int8"):
        l2_normalize(x, zero_point=0)
