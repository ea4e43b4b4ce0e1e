"""The integers' explanations, against what quantize computes, for every contract."""

import numpy as np
import pytest

from refquant.contracts import PRESETS, preset
from refquant.formats.affine import choose_qparams, quantize
from refquant.formats.affine_cards import CARDS, INTEGER_DTYPES, integer_card


def test_there_is_a_card_for_every_dtype() -> None:
    assert tuple(card.name for card in CARDS) == INTEGER_DTYPES, "one card a dtype, in their order"


@pytest.mark.parametrize("dtype", INTEGER_DTYPES)
def test_codes_shown_are_those_of_quantize(dtype: str) -> None:
    x = np.array([0.5, -1.0, 0.26, 1e-30, 0.0], np.float32)
    for name in ("onnx", "tflite_reference", "torch"):
        contract = preset(name)
        ruler = choose_qparams(
            x.min(), x.max(), dtype=dtype, symmetric=dtype.startswith("int"), contract=contract
        )
        codes = quantize(x, ruler, contract=contract)
        steps = [s for s in integer_card(dtype, contract).explain(x) if s.what.startswith("x[")]
        for step, code in zip(steps, codes, strict=True):
            assert f"-> {int(code)} = 0b" in step.how, f"{dtype}, {name}: {step}, code {code}"


def test_what_has_no_range_is_refused() -> None:
    for bad in ([np.nan], [np.inf, 1.0], []):
        with pytest.raises(ValueError, match="x: must be one finite value or more"):
            CARDS[0].explain(np.array(bad, np.float32))


@pytest.mark.parametrize("name", PRESETS)
def test_every_contract_explains_itself(name: str) -> None:
    # codes of an offset count from the smallest value: they have no sign
    dtype = "uint8" if preset(name).zero_point == "offset" else "int8"
    card = integer_card(dtype, preset(name))
    steps = card.explain(np.array([0.5, -1.0], np.float32))
    assert name in card.title, f"the title does not say whose arithmetic it is: {card.title}"
    assert any(preset(name).rounding in step.how for step in steps), f"{name}: no rounding rule"
