"""Signed powers of two: both roundings by fractions, every code, every float16."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats.power_of_two import (
    CARD,
    ROUNDINGS,
    choose_max_exponent,
    dequantize,
    quantize,
)


def powers(num_bits: int, max_exponent: int) -> list[Fraction]:
    """The magnitudes by field: 0, then the powers, ascending."""
    top = 2 ** (num_bits - 1) - 1
    return [Fraction(0), *(Fraction(2) ** (max_exponent - top + f) for f in range(1, top + 1))]


def exact(w: float, num_bits: int, max_exponent: int, rounding: str) -> int:
    marks, x = powers(num_bits, max_exponent), abs(Fraction(w))
    if not x:
        return 0
    field = 0
    for f, (low, high) in enumerate(itertools.pairwise(marks), 1):
        if rounding == "linear":
            field = f if x >= (low + high) / 2 else field
        elif low == 0 or x * x > low * high:  # the geometric middle; zero is no logarithm
            field = f
    return field + (2 ** (num_bits - 1) if w < 0 and field else 0)


def inputs(num_bits: int, max_exponent: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    out = []
    for low, high in itertools.pairwise(powers(num_bits, max_exponent)):
        for v in (float(low), float((low + high) / 2), float(low * high) ** 0.5):
            middle = np.float32(v)
            out += [
                middle,
                np.nextafter(middle, np.float32(9)),
                np.nextafter(middle, np.float32(-9)),
            ]
    out += [np.float32(v) for v in (1e38, 1e-38, 1e-45, 0.0, 2.0**max_exponent, 3e-3)]
    x = np.array(out, np.float32)
    return np.concatenate([x, -x])


@pytest.mark.parametrize("rounding", ROUNDINGS)
@pytest.mark.parametrize(("num_bits", "max_exponent"), [(2, 0), (3, 5), (4, 0), (4, -9), (6, 2)])
def test_codes_are_those_of_the_exact_oracle(
    rounding: str, num_bits: int, max_exponent: int
) -> None:
    x = inputs(num_bits, max_exponent)
    expected = [exact(float(v), num_bits, max_exponent, rounding) for v in x]
    codes = quantize(x, num_bits=num_bits, max_exponent=max_exponent, rounding=rounding)
    assert codes.tolist() == expected, "ties and neighbours"


def test_linear_is_nearest_for_every_half() -> None:
    halves = np.arange(0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    codes = quantize(halves, num_bits=4, max_exponent=3, rounding="linear")
    marks = np.array([float(p) for p in powers(4, 3)])
    distances = np.abs(halves[:, None].astype(np.float64) - marks)  # exact: few bits each
    chosen = distances[np.arange(halves.size), codes]
    assert (chosen == distances.min(axis=1)).all(), "no mark is nearer"


def test_the_roundings_differ_between_the_geometric_and_the_arithmetic_middle() -> None:
    x = np.array([1.41, 1.42, 1.49, 1.5], np.float32)
    fields = {r: quantize(x, num_bits=4, max_exponent=1, rounding=r).tolist() for r in ROUNDINGS}
    assert fields == {"log": [6, 7, 7, 7], "linear": [6, 6, 6, 7]}, "from sqrt(2) to 1.5"


@pytest.mark.parametrize("num_bits", range(2, 9))
def test_every_code_comes_back(num_bits: int) -> None:
    codes = np.arange(2**num_bits, dtype=np.uint8)
    values = dequantize(codes, num_bits=num_bits, max_exponent=0)
    for rounding in ROUNDINGS:
        again = quantize(values, num_bits=num_bits, max_exponent=0, rounding=rounding)
        half = 2 ** (num_bits - 1)
        expected = [0 if c == half else c for c in codes.tolist()]  # -0 is 0
        top = [c for c, v in zip(expected, values.tolist(), strict=True) if v or c == 0]
        found = [c for c, v in zip(again.tolist(), values.tolist(), strict=True) if v or c == 0]
        assert found == top, f"{rounding}: all codes with a float32 value"


def test_the_largest_magnitude_chooses_the_exponent() -> None:
    for value, log, linear in ((1.0, 0, 0), (1.45, 1, 0), (1.5, 1, 1), (-0.1, -3, -3), (0, 0, 0)):
        w = np.array([value, value / 3], np.float32)
        assert choose_max_exponent(w, rounding="log") == log, f"{value}"
        assert choose_max_exponent(w, rounding="linear") == linear, f"{value}"
    assert choose_max_exponent(np.zeros(0, np.float32), rounding="log") == 0, "nothing"


def test_bad_input_is_refused() -> None:
    x = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="finite"):
        quantize(x * np.float32(np.inf), num_bits=4, max_exponent=0, rounding="log")
    with pytest.raises(ValueError, match=r"num_bits must be in 2\.\.8"):
        quantize(x, num_bits=1, max_exponent=0, rounding="log")
    with pytest.raises(ValueError, match="rounding must be one of log, linear"):
        quantize(x, num_bits=4, max_exponent=0, rounding="half_even")
    with pytest.raises(ValueError, match=r"codes must be integers below 2\*\*4"):
        dequantize(np.array([16], np.uint8), num_bits=4, max_exponent=0)


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([1.0, -0.5], np.float32))
    assert "0b1110" in steps[2].how, "minus, one below the largest"


@pytest.mark.parametrize("bad", [1.5, "0", None, True, 128, -150])
def test_the_largest_exponent_is_one_of_float32(bad: Any) -> None:
    message = r"max_exponent must be an integer in \[-149, 127\]"
    with pytest.raises(ValueError, match=message):
        quantize(np.ones(1, np.float32), num_bits=4, max_exponent=bad, rounding="log")
    with pytest.raises(ValueError, match=message):
        dequantize(np.ones(1, np.uint8), num_bits=4, max_exponent=bad)
