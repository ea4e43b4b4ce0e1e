"""BitNet b1.58: every float32 operation by fractions, ties, floors, what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.bitnet import CARD, dequantize, quantize_activations, quantize_weights
from refquant_conformance.oracle import float32, round_exact
from tests.refquant.formats.codebook_inputs import many

FLOOR = float32(Fraction(1, 10**5))


def exact_codes(x: list[float], inverse: float, low: int, high: int) -> list[int]:
    products = [Fraction(float32(Fraction(v) * Fraction(inverse))) for v in x]
    return [min(max(round_exact(p, "half_even"), low), high) for p in products]


WEIGHTS = {
    "normal": many(40, count=64),
    "ties": np.array([0.5, -0.5, 1.5, 1.5], np.float32),  # mean 1
    "small": many(41, count=64) * np.float32(1e-6),
    "zeros": np.zeros(4, np.float32),
    "one outlier": np.array([1e6, 1, -1, 0], np.float32),
    "huge": np.array([3e38, -3e38], np.float32),
    "nothing": np.zeros(0, np.float32),
}


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_are_as_the_exact_oracle_has_them(name: str) -> None:
    w = WEIGHTS[name]
    total = sum(abs(Fraction(v)) for v in w.tolist())
    mean = max(float32(Fraction(total, max(1, w.size))), FLOOR)
    inverse = float32(1 / Fraction(mean))
    q = quantize_weights(w)
    assert float(q.inverse_scale) == inverse, "the inverse of the mean"
    assert q.codes.tolist() == exact_codes(w.tolist(), inverse, -1, 1), "codes"
    back = [float32(Fraction(c) / Fraction(inverse)) for c in q.codes.tolist()]
    assert dequantize(q).tolist() == back, "a quotient, rounded once"


@pytest.mark.parametrize("name", [name for name in WEIGHTS if name != "nothing"])
def test_activations_are_as_the_exact_oracle_has_them(name: str) -> None:
    x = np.stack([WEIGHTS[name], WEIGHTS[name] * np.float32(0.3)])
    q = quantize_activations(x)
    for i, row in enumerate(x.tolist()):
        largest = max(max(map(abs, row)), FLOOR)
        inverse = float32(Fraction(float32(1 / Fraction(largest))) * 127)
        assert float(q.inverse_scale[i, 0]) == inverse, f"row {i}: two roundings"
        assert q.codes[i].tolist() == exact_codes(row, inverse, -128, 127), f"row {i}"


def test_half_of_the_mean_is_zero() -> None:
    """Ties to even: 0.5 is 0, and 1.5 is limited to 1."""
    assert quantize_weights(WEIGHTS["ties"]).codes.tolist() == [0, 0, 1, 1], "half even"


def test_a_number_over_a_tensor_is_two_roundings() -> None:
    """127 / 5.3 and (1 / 5.3) * 127 differ in float32; PyTorch computes the second."""
    different = [
        a for a in np.linspace(1, 2, 257, dtype=np.float32)
        if np.float32(127) / a != np.float32(1) / a * np.float32(127)
    ]  # fmt: skip
    a = different[0]
    q = quantize_activations(np.array([a], np.float32))
    assert float(q.inverse_scale[0]) == float(np.float32(1) / a * np.float32(127)), f"{a}"


def test_the_mean_of_another_is_taken() -> None:
    w = many(42, count=32)
    assert float(quantize_weights(w, mean=0.5).inverse_scale) == 2.0, "theirs"
    shuffled = np.random.default_rng(0).permutation(w)
    there, back = quantize_weights(w), quantize_weights(shuffled)
    assert float(there.inverse_scale) == float(back.inverse_scale), "ours has no order"


def test_special_values() -> None:
    assert quantize_activations(np.zeros((2, 0), np.float32)).codes.shape == (2, 0), "nothing"
    for bad in (np.nan, np.inf):
        x = np.array([1, bad], np.float32)
        for function in (quantize_weights, quantize_activations):
            with pytest.raises(ValueError, match="finite"):
                function(x)
    with pytest.raises(ValueError, match="x must have a last axis"):
        quantize_activations(np.float32(1))


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([0.5, -1.5, 0.3, 1.7], np.float32))
    assert steps[0].result == "1", "the inverse scale"
    assert "-> -1" in steps[2].how, "-1.5"
