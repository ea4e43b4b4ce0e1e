"""Block floating point against exact fractions: every code, ties, ends of the exponent."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats.bfp import BFP_FORMATS, CARDS, dequantize, integers, quantize
from refquant.formats.block_float import BlockFloat
from refquant_conformance.rational import round_exact
from tests.refquant.formats.block_oracles import blocks, floor_log2

Array = np.ndarray[Any, Any]
every_format = pytest.mark.parametrize("name", BFP_FORMATS)
# name: (magnitude bits, block, two's complement), from the papers' and headers' own counting
SAYS = {
    **{f"msfp{8 + 1 + p}": (p, 16, False) for p in (2, 3, 4, 5, 6, 7)},
    "bfp16": (16 - 9, 8, False),
    "bfp_1_8_8_16": (8, 16, True),
    "bfp_1_4_8_16": (4, 16, True),
}


def oracle(block: Array, p: int, rounding: str, twos: bool) -> tuple[int, list[int]]:
    """The exponent and the integers of one block."""
    row = [Fraction(float(v)) for v in block]
    amax = max(abs(v) for v in row)
    e = max(floor_log2(amax), -127) if amax else -127
    step = Fraction(2) ** (e - p + 1)
    low, high = -(2**p) + (not twos), 2**p - 1
    return e, [min(max(round_exact(v / step, rounding), low), high) for v in row]


@every_format
@pytest.mark.parametrize("rounding", ["half_even", "half_away", "half_up", "toward_zero"])
def test_blocks_are_those_of_exact_fractions(name: str, rounding: str) -> None:
    p, size, twos = SAYS[name]
    x = blocks(size, seed=7, count=6)
    x = np.concatenate([x[:18], x[18::5], x[-2:]])
    q = quantize(x, format=name, rounding=rounding)
    for i, block in enumerate(x):
        e, m = oracle(block, p, rounding, twos)
        assert int(q.scales[i, 0]) == e + 127, f"{name}: exponent of {block[:4]}"
        assert integers(q)[i].tolist() == m, f"{name}: integers of {block[:4]}"
        back = dequantize(q)[i]
        with np.errstate(over="ignore", under="ignore"):
            want = np.ldexp(np.array(m, np.float64), e - p + 1).astype(np.float32)
        assert np.array_equal(back, want), f"{name}: reals of {block[:4]}"


@every_format
def test_every_code_is_an_integer_and_back(name: str) -> None:
    form = BFP_FORMATS[name]
    assert (form.magnitude_bits, form.block_size) == SAYS[name][:2], f"{name}: {form}"
    codes = np.arange(2 << form.magnitude_bits, dtype=np.uint16)
    m = integers(BlockFloat(name, codes, np.zeros(0, np.uint8), -1))
    if SAYS[name][2]:
        assert sorted(m.tolist()) == list(range(form.qmin, form.qmax + 1)), f"{name}: all integers"
    else:
        half = form.qmax + 1
        assert m.tolist() == [*range(half), *(-v for v in range(half))], f"{name}: sign first"


def test_a_value_that_rounds_beyond_the_bits_is_clamped_and_keeps_the_exponent() -> None:
    x = np.zeros(16, np.float32)
    x[:3] = 1.99, -1.99, 1.0
    q = quantize(x, format="msfp12", rounding="half_even")
    assert q.scales.tolist() == [127], "floor(log2 1.99) = 0"
    assert integers(q)[:3].tolist() == [7, -7, 4], "1.99 / 0.25 = 7.96 is 8, beyond 3 bits"
    twos = quantize(x, format="bfp_1_4_8_16", rounding="half_even")
    assert integers(twos)[:3].tolist() == [15, -16, 8], "two's complement has one more below"


def test_ends_of_the_exponent() -> None:
    x = np.zeros((3, 16), np.float32)
    x[0, 0], x[1, 0] = 3.4028235e38, 2.0**-149
    q = quantize(x, format="msfp16", rounding="half_even")
    assert q.scales.ravel().tolist() == [254, 0, 0], "127, clamped at -127, and zeros"
    assert dequantize(q)[:, 0].tolist() == [127 * 2.0**121, 0.0, 0.0], "127/64 of 2^127"


def test_axis_and_tail() -> None:
    x = np.concatenate(list(blocks(16, seed=8, count=2)))[:96].reshape(2, 48)
    last = quantize(x, format="msfp12", rounding="half_even")
    first = quantize(x.T.copy(), format="msfp12", rounding="half_even", axis=0)
    assert np.array_equal(first.codes.T, last.codes), "codes along axis 0"
    short = quantize(x[:, :40], format="msfp12", rounding="half_even", tail="pad")
    filled = np.where(np.arange(48) < 40, x, np.float32(0))
    whole = quantize(filled, format="msfp12", rounding="half_even")
    assert np.array_equal(short.scales, whole.scales), "filled with zeros"
    assert np.array_equal(dequantize(short), dequantize(whole)[:, :40]), "which are not stored"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "msfp10"}, "format must be one of"),
        ({"rounding": "nearest"}, "rule must be one of"),
        ({"x": np.full(16, np.nan, np.float32)}, "x must be finite"),
        ({"x": np.full(16, -np.inf, np.float32)}, "x must be finite"),
        ({"x": np.zeros(15, np.float32)}, "axis must be a multiple of 16"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    kw: dict[str, Any] = {"x": np.zeros(16, np.float32), "format": "msfp12",
                          "rounding": "half_even", **change}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        quantize(kw.pop("x"), **kw)


def test_what_cannot_be_read_is_refused() -> None:
    codes = np.full(16, 16, np.uint8)
    with pytest.raises(ValueError, match=r"codes of msfp12 must be in 0\.\.15, got 16"):
        dequantize(BlockFloat("msfp12", codes, np.zeros(1, np.uint8), -1))
    with pytest.raises(ValueError, match="scales must be uint8 of shape"):
        dequantize(BlockFloat("msfp12", codes, np.zeros(2, np.uint8), -1))


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_explain_what_quantize_does(card: Any) -> None:
    form = BFP_FORMATS[card.name]
    x = np.array([3.3, -0.7, 0.0], np.float32)
    block = np.zeros(form.block_size, np.float32)
    block[:3] = x
    back = dequantize(quantize(block, format=card.name, rounding="half_even"))
    steps = card.explain(x)
    shown = [np.float32(step.result.split(" ")[0]) for step in steps[-3:]]
    assert shown == back[:3].tolist(), f"{card.name}: {shown}"
    assert card.bits_per_value == 1 + form.magnitude_bits + 8 / form.block_size, "bits"
