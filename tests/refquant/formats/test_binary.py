"""Binary weights: the optimum by trying every sign, bits, the product of signs."""

import itertools
from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.binary import CARD, dequantize, pack, quantize, unpack, xnor_dot
from tests.refquant.formats.codebook_inputs import many

CASES = {
    "normal": many(50, count=7),
    "zeros": np.array([0.0, -0.0, 2.0], np.float32),
    "negative": np.array([-1, -2, -3], np.float32),
    "huge": np.array([3e38, -3e38, 3e38], np.float32),
    "subnormal": np.array([1e-45, -1e-40], np.float32),
}


@pytest.mark.parametrize("name", CASES)
def test_no_signs_and_scale_are_better(name: str) -> None:
    """For given signs the best scale is (w . b) / n and the error |w|^2 - (w . b)^2 / n."""
    w = [Fraction(v) for v in CASES[name].tolist()]
    best = max(
        abs(sum((s * v for s, v in zip(signs, w, strict=True)), Fraction(0)))
        for signs in itertools.product((-1, 1), repeat=len(w))
    )
    q = quantize(CASES[name], axis=None)
    signs = [2 * bit - 1 for bit in q.bits.tolist()]
    assert sum(s * v for s, v in zip(signs, w, strict=True)) == best, "the signs"
    assert float(q.scale) == float(np.float32(float(best / len(w)))), "the mean magnitude"


def test_zero_is_plus() -> None:
    x = np.array([0.0, -0.0, 1e-45, -1e-45], np.float32)
    assert quantize(x, axis=None).bits.tolist() == [1, 1, 1, 0], "no third sign"


@pytest.mark.parametrize("axis", [0, 1, -1])
def test_channels_are_alone(axis: int) -> None:
    w = many(51, count=24).reshape(4, 6)
    q = quantize(w, axis=axis)
    for i in range(w.shape[axis]):
        alone = quantize(np.take(w, i, axis=axis), axis=None)
        assert np.array_equal(np.take(dequantize(q), i, axis=axis), dequantize(alone)), f"{i}"


@pytest.mark.parametrize("count", [0, 1, 7, 8, 9, 64, 100])
def test_bits_come_back(count: int) -> None:
    bits = np.random.default_rng(count).integers(0, 2, (3, count)).astype(np.uint8)
    data = pack(bits)
    assert data.shape == (3, -(-count // 8)), "each row has its own bytes"
    assert unpack(data, count=count).tolist() == bits.tolist(), "round trip"
    for row, octets in zip(bits.tolist(), data.tolist(), strict=True):
        number = sum(bit << i for i, bit in enumerate(row))
        assert int.from_bytes(bytes(octets), "little") == number, "lowest first"


@pytest.mark.parametrize("count", [1, 8, 13])
def test_the_product_of_signs_is_a_count_of_bits(count: int) -> None:
    rng = np.random.default_rng(count)
    a, b = rng.integers(0, 2, (2, 50, count)).astype(np.uint8)
    products = ((2 * a.astype(int) - 1) * (2 * b.astype(int) - 1)).sum(axis=1)
    assert xnor_dot(pack(a), pack(b), count=count).tolist() == products.tolist(), "eq. (2)"


def test_what_fills_a_row_does_not_count() -> None:
    a, b = np.array([0b00000001], np.uint8), np.array([0b11111111], np.uint8)
    assert int(xnor_dot(a, b, count=1)) == 1, "seven bits of dirt"


def test_special_values() -> None:
    q = quantize(np.zeros((2, 0), np.float32), axis=0)
    assert q.scale.tolist() == [[0.0], [0.0]], "nothing"
    assert dequantize(q).shape == (2, 0), "nothing"
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            quantize(np.array([bad], np.float32), axis=None)
    with pytest.raises(ValueError, match="axis must be None or an axis of w"):
        quantize(np.ones(3, np.float32), axis=-2)
    with pytest.raises(ValueError, match="bits must be 0 or 1"):
        pack(np.array([2], np.uint8))
    with pytest.raises(ValueError, match="data must be uint8 with 2 bytes a row"):
        unpack(np.zeros(1, np.uint8), count=9)


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([1, -3], np.float32))
    assert steps[0].result == "2", "the scale"
    assert "0b0" in steps[2].how, "-3"
