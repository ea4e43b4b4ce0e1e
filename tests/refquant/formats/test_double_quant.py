"""Scales in 8 bits: the two equations by fractions, the offset, what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats import double_quant
from refquant.formats.dynamic_map import DYNAMIC_SIGNED
from refquant_conformance.oracle import float32
from tests.refquant.formats.codebook_inputs import many

ABSMAX = np.abs(many(7, count=700)) + np.float32(0.5)


def test_the_offset_is_the_exact_mean() -> None:
    exact = sum(map(Fraction, ABSMAX.tolist()), Fraction(0)) / ABSMAX.size
    offset = double_quant.quantize(ABSMAX, flavour="bnb_torch").offset
    assert float(offset) == float32(exact), "rounded to float32"


def test_the_offset_does_not_depend_on_the_order() -> None:
    x = np.concatenate([ABSMAX, np.array([1e30, 1e-30], np.float32)])
    there = double_quant.quantize(x, flavour="bnb_torch").offset
    back = double_quant.quantize(x[::-1].copy(), flavour="bnb_torch").offset
    assert float(there) == float(back), "an exact sum"


@pytest.mark.parametrize("flavour", ["bnb_torch", "bnb_cpu", "bnb_cuda"])
def test_decoding_is_two_rounded_operations(flavour: str) -> None:
    q = double_quant.quantize(ABSMAX, flavour=flavour)
    for i, value in enumerate(double_quant.dequantize(q).tolist()):
        mark = Fraction(float(DYNAMIC_SIGNED[q.inner.codes[i]]))
        product = float32(mark * Fraction(float(q.inner.absmax[i // 256])))
        expected = float32(Fraction(product) + Fraction(float(q.offset)))
        assert value == expected, f"block {i}"


def test_the_error_is_below_the_half_of_a_mark() -> None:
    """Marks of the largest decade are 0.9 / 64 apart, all others nearer: half, and roundings."""
    q = double_quant.quantize(ABSMAX, flavour="bnb_torch")
    scale = np.repeat(q.inner.absmax, 256)[: ABSMAX.size].astype(np.float64)
    error = np.abs(double_quant.dequantize(q).astype(np.float64) - ABSMAX)
    assert (error <= scale * (0.9 / 128 + 2.0**-22) + ABSMAX * 2.0**-22).all(), f"{error.max()}"


def test_an_offset_of_another_is_taken() -> None:
    q = double_quant.quantize(ABSMAX, flavour="bnb_torch", offset=1.25)
    assert float(q.offset) == 1.25, "theirs"
    largest = float(np.abs(ABSMAX[:256] - np.float32(1.25)).max())
    assert float(q.inner.absmax[0]) == largest, "used"


def test_special_values() -> None:
    empty = double_quant.quantize(np.zeros(0, np.float32), flavour="bnb_torch")
    assert double_quant.dequantize(empty).shape == (0,), "nothing"
    equal = double_quant.quantize(np.full(3, 0.7, np.float32), flavour="bnb_torch")
    assert double_quant.dequantize(equal).tolist() == [float(np.float32(0.7))] * 3, "all alike"
    for bad in (np.inf, np.nan):
        with pytest.raises(ValueError, match="finite"):
            double_quant.quantize(np.array([1, bad], np.float32), flavour="bnb_torch")
    with pytest.raises(ValueError, match=r"absmax must have shape \(blocks,\)"):
        double_quant.quantize(np.ones((2, 2), np.float32), flavour="bnb_torch")


def test_the_card_explains_a_value() -> None:
    steps = double_quant.CARD.explain(np.array([1, 3], np.float32))
    assert steps[0].result == "2", "the offset"
    assert "0xff" in steps[3].how, "the largest"
