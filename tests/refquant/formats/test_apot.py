"""APoT: levels by exact sums, the authors' sets, nearest by fractions."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.apot import CARD, MENUS, dequantize, levels, menus, quantize
from refquant.formats.codebook import midpoints
from refquant_conformance.oracle import float32
from tests.refquant.formats.codebook_inputs import neighbours
from tests.refquant.formats.codebook_oracle import place

# build_power_value of yhhhli/APoT_Quantization: exponents of the menus, by its argument B
AUTHORS: dict[int, list[list[int]]] = {
    2: [[-1, -2, -3]],
    3: [[-1, -2, -4], [-3]],
    4: [[-1, -3, -5], [-2, -4, -6]],
    5: [[-1, -3, -6], [-2, -4, -7], [-5]],
    6: [[-1, -4, -7], [-2, -5, -8], [-3, -6, -9]],
}


@pytest.mark.parametrize("num_bits", AUTHORS)
def test_levels_are_those_of_the_authors(num_bits: int) -> None:
    """All sums, divided by the largest: the product with float32(1 / max) as they have it."""
    sums = {Fraction(0)}
    for exponents in AUTHORS[num_bits]:
        menu = [Fraction(0), *(Fraction(2) ** e for e in exponents)]
        sums = {a + b for a in sums for b in menu}
    assert len(sums) == 2**num_bits, "every combination has its own sum"
    inverse = Fraction(float32(1 / (2 * max(sums))))  # ours are twice as large
    expected = sorted(float32(2 * s * inverse) for s in sums)
    assert levels(MENUS[num_bits]).tolist() == expected, "bit for bit"


def test_one_term_is_powers_of_two() -> None:
    assert levels(menus(terms=1, term_bits=3)).tolist() == [0, *(2.0**-e for e in range(6, -1, -1))]


def test_two_terms_spread_the_marks() -> None:
    """The largest gap of 16 magnitudes: 1/2 with one power, 1/4 with two."""
    gaps = [
        float(np.diff(levels(parts)).max())
        for parts in (menus(terms=1, term_bits=4), menus(terms=2, term_bits=2))
    ]
    assert gaps[0] == 0.5, "powers of two"
    assert gaps[1] <= 0.25, "sums of two"


@pytest.mark.parametrize("num_bits", MENUS)
@pytest.mark.parametrize("alpha", [1.0, 0.37, 3.0])
def test_codes_are_those_of_the_exact_oracle(num_bits: int, alpha: float) -> None:
    marks = levels(MENUS[num_bits])
    a = np.float32(alpha)
    x = neighbours((midpoints(marks) * a).astype(np.float32), steps=1)
    x = np.concatenate([x, -x, np.array([0, -0.0, 99, -99, 1e-45, 3e38], np.float32)])
    bounds = midpoints(marks).tolist()
    expected = []
    for v in x.tolist():
        ratio = float32(min(abs(Fraction(v)) / Fraction(float(a)), Fraction(2)))
        k = place(ratio, bounds, "low")
        expected.append(k + (2**num_bits if v < 0 and k else 0))
    assert quantize(x, parts=MENUS[num_bits], alpha=alpha).tolist() == expected, "codes"


@pytest.mark.parametrize("num_bits", [*MENUS, 7])
def test_every_code_comes_back(num_bits: int) -> None:
    parts = MENUS.get(num_bits, menus(terms=1, term_bits=num_bits))
    codes = np.arange(2 ** (num_bits + 1), dtype=np.uint8)
    values = dequantize(codes, parts=parts, alpha=1.0)
    expected = [0 if c == 2**num_bits else c for c in codes.tolist()]
    again = quantize(values, parts=parts, alpha=1.0)
    some = (values != 0) | (codes == 0)  # one term of seven bits has powers below float32
    assert again[some].tolist() == np.array(expected)[some].tolist(), "-0 is 0"
    assert (values[2**num_bits :] == -values[: 2**num_bits]).all(), "the sign is the high bit"


def test_bad_input_is_refused() -> None:
    x = np.ones(2, np.float32)
    with pytest.raises(ValueError, match="finite"):
        quantize(x * np.float32(np.nan), parts=MENUS[4], alpha=1.0)
    for alpha in (0.0, -1.0, np.inf, np.nan):
        with pytest.raises(ValueError, match="alpha must be a positive"):
            quantize(x, parts=MENUS[4], alpha=alpha)
    for terms, bits in ((0, 2), (2, 0), (4, 2)):
        with pytest.raises(ValueError, match="terms \\* term_bits must be in 1"):
            menus(terms=terms, term_bits=bits)
    with pytest.raises(ValueError, match="codes must be a sign and a place in 3 levels"):
        dequantize(np.array([3], np.uint8), parts=((0.0, 1.0, 0.5),), alpha=1.0)
    with pytest.raises(ValueError, match=r"codes must be in 0\.\.31, got 32"):
        dequantize(np.array([32], np.uint8), parts=MENUS[4], alpha=1.0)


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([1.5, -1.0], np.float32))
    assert steps[2].how.endswith("0b01111 = 1 + 0.5"), steps[2].how
    assert steps[3].how.endswith("0b11100 = 1 + 0"), steps[3].how
