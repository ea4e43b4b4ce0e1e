"""int16 Softmax against pure-Python integers, and against the reals."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.ops.softmax import softmax_quantized
from refquant.ops.softmax_int16 import (
    interpolated,
    reciprocal_points,
    shares_int16,
    softmax_table_int16,
)

UNIT = QParams(np.float32(2.0**-15), np.int32(0), None, "int16")


def shares(e: list[int]) -> list[int]:
    """The text of operators.md, in Python's integers."""
    points = reciprocal_points().tolist()
    total = sum(e)
    c = 32 - total.bit_length()
    v = min(max((((total << (c - 1)) + 8192) >> 14) - 98304, -32768), 32767)
    i, f = 256 + v // 128, v % 128
    r = points[i] + (((points[i + 1] - points[i]) * f + 64) >> 7)
    return [min(max((x * r + (1 << (30 - c))) >> (31 - c), 0), 32767) for x in e]


@pytest.mark.parametrize("seed", range(20))
def test_shares_are_those_of_integers(seed: int) -> None:
    rng = np.random.default_rng(seed)
    e = np.append(rng.integers(0, 32768, int(rng.integers(0, 300))), 32762).astype(np.int16)
    assert shares_int16(e[None], -1)[0].tolist() == shares(e.tolist()), f"{e}"


def test_the_longest_sum() -> None:
    e = np.full((1, 65535), 32767, np.int16)
    assert shares_int16(e, -1)[0, :2].tolist() == shares([32767] * 65535)[:2], "31 bits"


def test_points_are_reciprocals() -> None:
    points = reciprocal_points()
    for i in range(513):
        real = Fraction(1 << 15) / (1 + Fraction(i, 512))
        assert abs(Fraction(int(points[i])) - min(real, Fraction(32767))) <= 1, f"point {i}"


def test_a_line_is_interpolated_exactly() -> None:
    v = np.arange(-32768, 32768)
    line = interpolated(v, np.arange(513) * 64)
    assert np.array_equal(line, (v + 32768 + 1) // 2), "half of it, ties up"


@pytest.mark.parametrize("scale", [2.0**-12, 1e-3, 1e-5])
def test_codes_are_near_the_reals(scale: float) -> None:
    ruler = QParams(np.float32(scale), np.int32(0), None, "int16")
    table = softmax_table_int16(ruler, beta=1.0)
    assert table.dtype == np.int16, "15 bits"
    assert table.min() >= 0, "no share is negative"
    assert table[0] >= 1 << 14, "as a loader asks"
    q = np.random.default_rng(0).integers(-32768, 32768, (50, 7)).astype(np.int16)
    codes = softmax_quantized(
        q, table, x_qparams=ruler, y_qparams=UNIT, contract=preset("tflite_reference")
    )
    for row, made in zip(q.tolist(), codes.tolist(), strict=True):
        e = [math.exp((v - max(row)) * float(np.float32(scale))) for v in row]
        # In codes: the first exponential is 32762, 6 less; distances are steps of 10/65535, half
        # of one is 2.5; chords share 1.6; and the sum has the same errors again, of which a share
        # below 1 remains, beside 2 of a reciprocal of 15 bits.
        worst = max(abs(m - 32768 * v / sum(e)) for m, v in zip(made, e, strict=True))
        assert worst < 6 + 2 * (2.5 + 1.6) + 2, f"{row}: {worst} codes"
