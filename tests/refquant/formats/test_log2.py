"""The logarithmic codes: rounding without a logarithm, by integers; every bfloat16 and float16."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.log2 import CARD, dequantize, nearest_exponent, quantize, zeros


def exact_exponent(x: float) -> int:
    """round(log2 x): the k with 2^(2k - 1) < x^2 < 2^(2k + 1)."""
    assert 0 < x < math.inf, f"no logarithm: {x}"
    square, k = Fraction(x) ** 2, 0
    while square > Fraction(2) ** (2 * k + 1):
        k += 1
    while square < Fraction(2) ** (2 * k - 1):
        k -= 1
    return k


def around_the_root(exponents: range) -> list[float]:
    """The float32 below and above sqrt(1/2) times powers of two, and the powers."""
    low = np.float32(math.sqrt(0.5))
    low = low if Fraction(float(low)) ** 2 < Fraction(1, 2) else np.nextafter(low, np.float32(0))
    values = [float(low), float(np.nextafter(low, np.float32(1))), 1.0, 0.75]
    return [math.ldexp(v, e) for e in exponents for v in values]


def test_the_nearest_exponent_is_exact_on_both_sides_of_the_root() -> None:
    values = around_the_root(range(-125, 128, 7))
    found = nearest_exponent(np.array(values, np.float32))
    assert found.tolist() == [exact_exponent(v) for v in values], "by squares"


def test_every_half_has_its_exponent() -> None:
    halves = np.arange(1, 0x7C00, dtype=np.uint16).view(np.float16).astype(np.float32)
    found = nearest_exponent(halves)
    square = halves.astype(np.float64) ** 2  # 22 bits: exact
    assert (square > np.exp2(2.0 * found - 1)).all(), "above the lower bound"
    assert (square < np.exp2(2.0 * found + 1)).all(), "below the upper bound"


def test_subnormals_have_exponents() -> None:
    x = np.array([1e-45, 3e-45, 1e-40], np.float32)
    assert nearest_exponent(x).tolist() == [exact_exponent(float(v)) for v in x], "exact"


@pytest.mark.parametrize("num_bits", [1, 2, 4, 8])
@pytest.mark.parametrize("scale", [1.0, 0.37, 8.0])
def test_codes_are_those_of_the_exact_oracle(num_bits: int, scale: float) -> None:
    x = np.array([*around_the_root(range(-20, 4)), 1e-45, 1e38, 0.0], np.float32)
    with np.errstate(under="ignore"):
        ratios = (x / np.float32(scale)).tolist()
    halvings = [-exact_exponent(ratio) if ratio else 10**6 for ratio in ratios]
    expected = [min(max(h, 0), 2**num_bits - 1) for h in halvings]
    assert quantize(x, num_bits=num_bits, scale=scale).tolist() == expected, "codes"
    masked = [h >= 2**num_bits for h in halvings]
    assert zeros(x, num_bits=num_bits, scale=scale).tolist() == masked, "what FQ-ViT makes zero"


def test_every_code_is_the_code_of_its_value() -> None:
    for scale in (1.0, 0.37):
        codes = np.arange(128, dtype=np.uint8)
        assert quantize(dequantize(codes, scale=scale), num_bits=8, scale=scale).tolist() == list(
            range(128)
        ), f"scale {scale}: normal numbers"
    assert dequantize(np.array([3], np.uint8), scale=1.5).tolist() == [0.1875], "1.5 / 8"


def test_zero_is_the_largest_code_and_above_the_scale_is_0() -> None:
    x = np.array([0.0, -0.0, 2.0, 3.4e38], np.float32)
    assert quantize(x, num_bits=3, scale=0.5).tolist() == [7, 7, 0, 0], "the ends"
    assert quantize(x[:0], num_bits=3, scale=1.0).size == 0, "nothing"


def test_bad_input_is_refused() -> None:
    x = np.ones(1, np.float32)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            quantize(x * np.float32(bad), num_bits=4, scale=1.0)
    with pytest.raises(ValueError, match="x must not be negative"):
        quantize(-x, num_bits=4, scale=1.0)
    with pytest.raises(ValueError, match=r"num_bits must be in 1\.\.8"):
        quantize(x, num_bits=0, scale=1.0)
    for scale in (0.0, -1.0, math.nan, math.inf):
        with pytest.raises(ValueError, match="scale must be a positive"):
            quantize(x, num_bits=4, scale=scale)


def test_the_card_explains_a_value() -> None:
    assert "0b0010" in CARD.explain(np.array([0.25], np.float32))[1].how, "two halvings"
