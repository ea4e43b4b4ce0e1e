"""What block floats share: rounding half toward zero, and the texts of the cards."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.block_float import bits_text, encode_signed, float32_input, float_texts
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from tests.refquant.formats.block_oracles import magnitudes, nearest


@pytest.mark.parametrize("tie", ["half_even", "half_away", "half_toward_zero"])
@pytest.mark.parametrize("element", ["e2m1", "e2m3", "e3m2", "e4m3fn", "e5m2"])
def test_every_number_midpoint_and_neighbour_rounds_as_the_definition(
    element: str, tie: str
) -> None:
    reals = magnitudes(element)
    points = [*reals, *((a + b) / 2 for a, b in itertools.pairwise(reals))]
    y = np.array([float(p) for p in points], np.float32)
    y = np.concatenate([y, np.nextafter(y, np.float32(0)), np.nextafter(y, np.float32(np.inf))])
    y = np.concatenate([y, -y])
    form = FLOAT_FORMATS[element]
    nan = "error" if form.nan == "none" else "nan"
    got = encode_signed(y, form, rounding=tie, overflow="saturate", nan=nan)
    sign = np.signbit(y) * (1 << (form.num_bits - 1))
    want = [
        nearest(Fraction(float(v)), element, tie) + int(s) for v, s in zip(y, sign, strict=True)
    ]
    wrong = np.flatnonzero(got != np.array(want))
    assert wrong.size == 0, f"{element} {tie}: {y[wrong[:4]]} -> {got[wrong[:4]]}"


def test_codes_are_shown_by_their_fields() -> None:
    shown = {name: bits_text(1, FLOAT_FORMATS[name]) for name in ("e2m1", "e5m2", "e8m0", "ue5m3")}
    assert shown == {
        "e2m1": "0 00 1", "e5m2": "0 00000 01", "e8m0": "00000001", "ue5m3": "00000 001",
    }, f"sign, exponent, mantissa: {shown}"  # fmt: skip


def test_texts_mark_ties_and_clipping_and_nothing_else() -> None:
    y = np.array([0.25, -5.0, 6.5, 6.0, 0.3, np.inf, np.nan, 0.0], np.float32)
    form = FLOAT_FORMATS["e2m1"]
    codes = encode_signed(y, form, rounding="half_even", overflow="saturate", nan="max")
    texts = float_texts(y, codes, form)
    assert ["(tie" in t for t in texts] == [True, True, *6 * [False]], f"ties: {texts}"
    assert ["(clipped)" in t for t in texts] == [False, False, True, *5 * [False]], f"{texts}"
    ends = [float(t.split("->")[1].split("=")[0]) for t in texts]
    assert ends == decode(codes, form).tolist(), "what the text says the code means"


@pytest.mark.parametrize("x", [np.zeros(3), np.float32(1), np.zeros(3, np.float16)])
def test_other_inputs_than_float32_arrays_are_refused(x: np.ndarray) -> None:
    with pytest.raises(ValueError, match="x must be float32 with at least one axis"):
        float32_input(x)
