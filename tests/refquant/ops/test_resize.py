"""Resized codes, against fractions."""

from fractions import Fraction
from math import floor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.ops.resize import resize_linear

RNG = np.random.default_rng(5)


def rounded(value: Fraction, rule: str) -> int:
    if rule == "half_away" and value < 0:
        return -floor(-value + Fraction(1, 2))
    return floor(value + Fraction(1, 2))


@pytest.mark.parametrize("rule", ["half_up", "half_away"])
@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("bits", [1, 2, 10, 11])
def test_a_pixel_is_the_rounded_mean_of_four(bits: int, dtype: type, rule: str) -> None:
    limits = np.iinfo(dtype)
    x: NDArray[Any] = RNG.integers(limits.min, limits.max + 1, (2, 3, 4, 5)).astype(dtype)
    x[0, 0], x[0, 1] = limits.min, limits.max
    rows, columns = (
        np.concatenate([RNG.integers(0, n, (7, 2)), RNG.integers(0, (1 << bits) + 1, (7, 1))], 1)
        for n in (4, 5)
    )
    rows[:2, 2] = columns[:2, 2] = (1 << bits, 1 << (bits - 1))  # the whole, and ties
    got = resize_linear(x, rows, columns, bits=bits, rounding=rule)
    assert got.dtype == dtype, "codes"
    one = 1 << bits
    for i, (p, r, u) in enumerate(rows.tolist()):
        for j, (left, right, v) in enumerate(columns.tolist()):
            for n, c in np.ndindex(2, 3):
                at = [[int(x[n, c, a, b]) for b in (left, right)] for a in (p, r)]
                above, below = (Fraction(s * (one - v) + t * v, one) for s, t in at)
                exact = (above * (one - u) + below * u) / one
                assert got[n, c, i, j] == rounded(exact, rule), (rule, bits, i, j)


def test_what_is_no_image_or_place_is_refused() -> None:
    x, good = np.zeros((1, 1, 2, 2), np.int8), np.array([[0, 1, 1]])
    for given, message in (
        ({"x": x.astype(np.int16)}, "8-bit codes"),
        ({"x": x[0]}, "8-bit codes"),
        ({"rows": np.array([[0, 2, 1]])}, "rows: places must be in"),
        ({"columns": np.array([[-1, 0, 1]])}, "columns: places must be in"),
        ({"columns": np.array([[0, 0, 5]])}, "columns: weights must be in"),
        ({"rows": good[:, :2]}, "rows must be integers"),
        ({"rows": good.astype(float)}, "rows must be integers"),
        ({"rows": good[:0]}, "rows must be integers"),
        ({"bits": 12}, "bits must be in"),
        ({"rounding": "half_even"}, "rounding must be"),
    ):
        call = {"x": x, "rows": good, "columns": good, "bits": 2, "rounding": "half_up", **given}
        with pytest.raises(ValueError, match=message):
            resize_linear(call.pop("x"), call.pop("rows"), call.pop("columns"), **call)
