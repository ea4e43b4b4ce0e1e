"""HQQ's float zero points: every float32 operation by fractions, axes, what is refused."""

from fractions import Fraction

import numpy as np
import pytest

from refquant.formats.float_zero_point import (
    CARD,
    choose_qparams,
    dequantize,
    encode,
    quantize,
)
from refquant_conformance.oracle import float32, round_exact
from tests.refquant.formats.codebook_inputs import many


def exact(
    group: list[float], num_bits: int, round_zero: bool
) -> tuple[list[int], float, float, list[float]]:
    top = 2**num_bits - 1
    low, extent = Fraction(min(group)), float32(Fraction(max(group)) - Fraction(min(group)))
    if extent <= float32(Fraction(1, 10**4)):
        inverse = 1.0
    else:
        inverse = min(float32(Fraction(float32(1 / Fraction(extent))) * top), 2e4)
    zero = float32(-low * Fraction(inverse))
    if round_zero:
        zero = float(round_exact(Fraction(zero), "half_even"))
    codes = []
    for w in group:
        product = Fraction(float32(Fraction(w) * Fraction(inverse)))
        v = Fraction(float32(product + Fraction(zero)))
        codes.append(min(max(round_exact(v, "half_even"), 0), top))
    scale = float32(1 / Fraction(inverse))
    back = [
        float32(Fraction(float32(Fraction(q) - Fraction(zero))) * Fraction(scale)) for q in codes
    ]
    return codes, scale, zero, back


GROUPS = {
    "normal": many(10, count=32),
    "ties": np.array([0, 15, 0.5, 1.5, 2.5, 14.5], np.float32),
    "constant": np.full(8, 0.3, np.float32),
    "nearly constant": np.array([0.3, 0.30005, 0.29999], np.float32),
    "small": many(11, count=32) * np.float32(1e-5),
    "inverse above 20000": np.array([0, 1.1e-4, 5e-5], np.float32),
    "all positive": np.array([5, 6, 7.3], np.float32),
    "one outlier": np.array([1e4, 1e-3, -1e-3, 0], np.float32),
    "zeros": np.zeros(4, np.float32),
}


@pytest.mark.parametrize("name", GROUPS)
@pytest.mark.parametrize("num_bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("round_zero", [False, True])
def test_all_is_as_the_exact_oracle_has_it(name: str, num_bits: int, round_zero: bool) -> None:
    w = GROUPS[name]
    codes, scale, zero, back = exact(w.tolist(), num_bits, round_zero)
    q = quantize(w, num_bits=num_bits, group_size=w.size, axis=1, round_zero=round_zero)
    assert q.codes.reshape(-1).tolist() == codes, "codes"
    assert q.scale.reshape(-1).tolist() == [scale], "scale"
    assert q.zero_point.reshape(-1).tolist() == [zero], "zero point"
    assert dequantize(q).tolist() == back, "values"


def test_axis_0_takes_every_nth_value() -> None:
    w = many(12, count=24).reshape(4, 6)
    q = quantize(w, num_bits=4, group_size=8, axis=0, round_zero=False)
    assert q.codes.shape == (8, 3), "(group_size, groups)"
    for group in range(3):
        codes, scale, zero, _ = exact(w.reshape(-1)[group::3].tolist(), 4, False)
        assert q.codes[:, group].tolist() == codes, f"group {group}"
        found = (float(q.scale[0, group]), float(q.zero_point[0, group]))
        assert found == (scale, zero), f"group {group}"
    assert dequantize(q).shape == w.shape, "back in the shape of w"


def test_the_ends_of_a_group_are_marks() -> None:
    """That is what the zero point is a float for. The error is of four roundings: 4 * 2^-24 * 15
    codes, relative to the range."""
    w = GROUPS["all positive"]
    q = quantize(w, num_bits=4, group_size=3, axis=1, round_zero=False)
    back = dequantize(q)
    assert q.codes.reshape(-1)[[0, 2]].tolist() == [0, 15], "the first and the last code"
    span = 5 + 2.3  # |z| s + range
    assert np.abs(back[[0, 2]] - w[[0, 2]]).max() <= 4 * 2.0**-24 * 15 * span, f"{back}"


def test_small_weights_are_lost() -> None:
    """A range of at most 1e-4 has the scale 1: all codes are 0, all values the minimum."""
    w = np.array([-2e-5, 3e-5, 1e-5], np.float32)
    back = dequantize(quantize(w, num_bits=4, group_size=3, axis=1, round_zero=False))
    assert back.tolist() == [float(w[0])] * 3, "the minimum"


def test_parameters_broadcast() -> None:
    w = many(13, count=12).reshape(3, 4)
    inverse, zero = choose_qparams(w, num_bits=2, axis=0, round_zero=False)
    assert inverse.shape == zero.shape == (1, 4), "1 along the axis"
    codes = encode(w, inverse_scale=inverse, zero_point=zero, num_bits=2)
    assert codes.min(axis=0).tolist() == [0] * 4, "every column has its minimum"
    assert codes.max(axis=0).tolist() == [3] * 4, "and its maximum"


def test_bad_input_is_refused() -> None:
    w = np.ones(6, np.float32)
    for bad in (np.nan, np.inf):
        with pytest.raises(ValueError, match="finite"):
            quantize(w * np.float32(bad), num_bits=4, group_size=6, axis=1, round_zero=False)
    for size in (0, 4, 7):
        with pytest.raises(ValueError, match="group_size must divide the 6 elements"):
            quantize(w, num_bits=4, group_size=size, axis=1, round_zero=False)
    with pytest.raises(ValueError, match="axis must be 0 or 1"):
        quantize(w, num_bits=4, group_size=6, axis=2, round_zero=False)
    with pytest.raises(ValueError, match=r"num_bits must be in 1\.\.8"):
        quantize(w, num_bits=9, group_size=6, axis=1, round_zero=False)
    wide = np.array([-3e38, 3e38], np.float32)
    with pytest.raises(ValueError, match="span less than the range"):
        quantize(wide, num_bits=4, group_size=2, axis=1, round_zero=False)


def test_nothing_stays_nothing() -> None:
    empty = quantize(
        np.zeros((0, 4), np.float32), num_bits=4, group_size=2, axis=1, round_zero=False
    )
    assert dequantize(empty).shape == (0, 4), "of its shape"


def test_the_card_explains_a_value() -> None:
    steps = CARD.explain(np.array([0, 15, 0.4], np.float32))
    assert steps[0].result == "1", "the scale"
    assert "0b1111" in steps[3].how, "15"
