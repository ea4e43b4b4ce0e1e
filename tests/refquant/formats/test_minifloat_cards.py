"""The scalar floats' explanations, against what encode and decode compute."""

import numpy as np
import pytest

from refquant.formats.minifloat_cards import CARDS, bits_of
from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS

BY_NAME = {card.name: card for card in CARDS}
EDGES = [0.0, -0.0, 1.0, -1.0, 3.3, 5e-39, -1e-45, 1e30, -1e30]


def test_there_is_a_card_for_every_format() -> None:
    assert list(BY_NAME) == list(FLOAT_FORMATS), "one card a format, in their order"


@pytest.mark.parametrize("name", FLOAT_FORMATS)
def test_bits_read_back_as_the_code(name: str) -> None:
    form = FLOAT_FORMATS[name]
    for code in {0, 1, form.max_code, (1 << form.num_bits) - 1}:
        text = bits_of(code, name)
        assert int(text.replace(".", ""), 2) == code, f"{name}: {code} is shown as {text}"
        assert len(text.replace("0b", "").replace(".", "")) == form.num_bits, f"{name}: {text}"


@pytest.mark.parametrize("name", FLOAT_FORMATS)
def test_codes_and_reals_shown_are_those_of_encode(name: str) -> None:
    form = FLOAT_FORMATS[name]
    x = np.array([*EDGES, np.inf, -np.inf], np.float32)
    steps = [s for s in BY_NAME[name].explain(x) if "(error" in s.result]
    codes = encode(x, form)
    for step, code, real in zip(steps, codes, decode(codes, form), strict=True):
        assert step.how.endswith(f"= 0x{int(code):02X}"), f"{name}: {step}, code {code}"
        assert float(step.result.split(" ")[0]) == pytest.approx(float(real), rel=1e-8), (
            f"{name}: {step} (nine digits are printed), {real}"
        )


def test_a_tie_a_subnormal_and_an_overflow_are_named() -> None:
    x = np.array([1.25, 0.3, 7.0], np.float32)
    shown = [f"{s.how}; {s.result}" for s in BY_NAME["e2m1"].explain(x)][::2]
    assert "a tie, to even" in shown[0], shown[0]
    assert "subnormal" in shown[1], shown[1]
    assert "the largest number is 6" in shown[2], shown[2]


def test_nan_is_the_code_of_nan_or_the_largest_number() -> None:
    nan = np.array([np.nan], np.float32)
    assert "0x7F" in BY_NAME["e4m3fn"].explain(nan)[1].how, "E4M3FN has NaN"
    assert BY_NAME["e2m1"].explain(nan)[1].result.startswith("6 "), "E2M1 has none"
    assert "saturates to code 0" in BY_NAME["e8m0"].explain(np.array([-1], np.float32))[0].result, (
        "a negative number has no code in an unsigned format"
    )
