"""MX blocks against exact fractions, on ties, ends and special blocks; golden producers."""

import itertools
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats.block_float import BlockFloat
from refquant.formats.mx import CARDS, dequantize, quantize, quantize_like
from refquant.formats.mx_formats import MX_FORMATS, MX_PRODUCERS
from refquant.formats.mx_scales import SCALE_RULES
from tests.refquant.formats.block_oracles import (
    ELEMENTS,
    blocks,
    e8m0,
    exponent,
    floor_log2,
    magnitudes,
    nearest,
)

Array = np.ndarray[Any, Any]
every_format = pytest.mark.parametrize("name", MX_FORMATS)
OCP: dict[str, Any] = {"scale_rule": "floor", "rounding": "half_even"}


def oracle(x: Array, name: str, rule: str, tie: str) -> tuple[list[int], list[list[int]], Array]:
    """Scales, codes and reals of blocks (n, 32), number by number."""
    element = ELEMENTS[name]
    top = len(magnitudes(element)) - 1
    bits = MX_FORMATS[name].num_bits
    scales, codes, reals = [], [], np.zeros(x.shape, np.float32)
    for i, block in enumerate(x):
        row = [Fraction(float(v)) for v in block]
        amax = max(abs(v) for v in row)
        zero = 0 if rule == "oas" else -1000
        e = e8m0(exponent(amax, rule, element) if amax else zero) - 127
        scales.append(e + 127)
        line = []
        for j, v in enumerate(row):
            code = nearest(v / Fraction(2) ** e, element, tie)
            negative = np.signbit(block[j])
            with np.errstate(over="ignore"):
                size = np.float32(float(magnitudes(element)[code] * Fraction(2) ** e))
            reals[i, j] = -size if negative else size
            if element == "int8":
                line.append((256 - code) % 256 if negative else code)
            else:
                line.append(code + (int(negative) << (bits - 1)))
            assert code <= top, "the oracle saturates"
        codes.append(line)
    return scales, codes, reals


@pytest.mark.parametrize(
    ("rule", "name"),
    [(r, n) for r in SCALE_RULES for n in MX_FORMATS if r != "rceil_v2" or n == "mxfp4"],
)
def test_blocks_are_those_of_exact_fractions(rule: str, name: str) -> None:
    x = blocks(32, seed=1, count=3)
    part = list(SCALE_RULES).index(rule)
    x = np.concatenate([x[:9], x[9 + part :: 10], x[-2:]])
    q = quantize(x, format=name, scale_rule=rule, rounding="half_even")
    scales, codes, reals = oracle(x, name, rule, "half_even")
    assert q.scales.ravel().tolist() == scales, f"{name}, {rule}: scales"
    assert q.codes.tolist() == codes, f"{name}, {rule}: codes"
    back = dequantize(q)
    assert np.array_equal(back, reals), f"{name}, {rule}: reals"


@every_format
@pytest.mark.parametrize("tie", ["half_away", "half_toward_zero"])
def test_ties_go_where_the_rounding_says(name: str, tie: str) -> None:
    reals = magnitudes(ELEMENTS[name])
    middles = [float((a + b) / 2) for a, b in itertools.pairwise(reals)]
    top = float(reals[-1])
    x = np.zeros((-(-len(middles) // 30), 32), np.float32)
    for i, v in enumerate(middles):  # a block with the largest number has a scale of 1
        x[i // 30, i % 30] = -v if i % 3 else v
    x[:, 31] = top
    q = quantize(x, format=name, scale_rule="floor", rounding=tie)
    scales, codes, _ = oracle(x, name, "floor", tie)
    assert set(scales) == {127}, f"{name}: the test means a scale of 1"
    assert q.scales.ravel().tolist() == scales, f"{name}: scales"
    assert q.codes.tolist() == codes, f"{name}, {tie}"


@every_format
def test_the_reals_of_all_codes_and_scales_are_exact(name: str) -> None:
    bits = MX_FORMATS[name].num_bits
    codes = np.repeat(np.arange(1 << bits, dtype=np.uint8)[:, None], 32, axis=1)
    reals = magnitudes(ELEMENTS[name])
    for scale in (0, 1, 126, 127, 128, 253, 254):
        q = BlockFloat(name, codes, np.full((1 << bits, 1), scale, np.uint8), -1)
        back = dequantize(q)[:, 0]
        for code, got in enumerate(back.tolist()):
            negative = code >> (bits - 1)
            size = code & ((1 << (bits - 1)) - 1)
            if name == "mxint8":
                value = Fraction(code - 256 * negative, 64)
            elif size >= len(reals):
                special = np.isnan(got) or (name == "mxfp8_e5m2" and np.isinf(got))
                assert special, f"{name}: code {code} is no number, got {got}"
                continue
            else:
                value = -reals[size] if negative else reals[size]
            with np.errstate(over="ignore", under="ignore"):
                want = np.ldexp(np.float64(float(value)), scale - 127).astype(np.float32)
            assert got == want, f"{name}: code {code} with scale {scale}"
    nan = dequantize(BlockFloat(name, codes, np.full((1 << bits, 1), 255, np.uint8), -1))
    assert np.isnan(nan).all(), f"{name}: scale 255 is NaN, whatever the elements are"


@every_format
def test_quantizing_what_was_dequantized_changes_nothing(name: str) -> None:
    x = blocks(32, seed=3)
    q = quantize(x, format=name, **OCP)
    back = dequantize(q)
    again = dequantize(quantize(back, format=name, **OCP))
    finite = np.isfinite(back).all(axis=1)  # the largest may have been rounded beyond float32
    assert np.array_equal(again[finite], back[finite]), f"{name}: not idempotent"


@every_format
def test_special_blocks(name: str) -> None:
    x = np.ones((4, 32), np.float32)
    x[0, 5], x[1, 5], x[2, 5], x[3] = np.nan, np.inf, -np.inf, 0.0
    q = quantize(x, format=name, **OCP)
    assert q.scales.ravel().tolist() == [255, 255, 255, 0], f"{name}: {q.scales.ravel()}"
    assert np.isnan(dequantize(q)[:3]).all(), f"{name}: a block with NaN or infinity is NaN"
    assert (dequantize(q)[3] == 0).all(), f"{name}: zeros are zeros"
    if MX_FORMATS[name].element in ("e4m3fn", "e5m2"):
        assert (q.codes[0] == (127 if name == "mxfp8_e4m3" else 126)).all(), "NaN elements"
    else:
        assert (q.codes[0] == 0).all(), "no NaN among the elements: 0"
    s = quantize(x, format=name, infinity="saturate", **OCP)
    assert np.isnan(dequantize(s)[0]).all(), f"{name}: NaN does not saturate"
    assert s.scales[1] < 255, f"{name}: infinity saturates"
    with np.errstate(over="ignore"):  # the largest number times its scale may be beyond float32
        top = float(np.float32(MX_FORMATS[name].max_value * 2.0 ** (int(s.scales[1, 0]) - 127)))
    assert dequantize(s)[1:3, 5].tolist() == [top, -top], f"{name}: to the largest number"


def test_small_scales_are_divided_by_what_the_producer_divides_by() -> None:
    x = np.full(32, 2.0**-126, np.float32)
    by = {
        divisor: int(quantize(x, format="mxfp4", smallest_divisor=divisor, **OCP).codes[0])
        for divisor in (2.0**-127, 2.0**-126, 1.0)
    }
    assert by == {2.0**-127: 4, 2.0**-126: 2, 1.0: 0}, f"2, 1 and 0 as E2M1: {by}"


@every_format
def test_blocks_lie_along_the_axis_and_a_short_one_is_filled_with_zeros(name: str) -> None:
    x = np.concatenate(list(blocks(32, seed=5, count=2)))[: 32 * 6].reshape(2, 96)
    last = quantize(x, format=name, **OCP)
    first = quantize(x.T.copy(), format=name, axis=0, **OCP)
    assert np.array_equal(first.codes.T, last.codes), f"{name}: codes along axis 0"
    assert np.array_equal(first.scales.T, last.scales), f"{name}: scales along axis 0"
    assert np.array_equal(dequantize(first).T, dequantize(last), equal_nan=True), "reals"

    with pytest.raises(ValueError, match="axis must be a multiple of 32"):
        quantize(x[:, :70], format=name, **OCP)
    short = quantize(x[:, :70], format=name, tail="pad", **OCP)
    filled = np.zeros((2, 96), np.float32)
    filled[:, :70] = x[:, :70]
    whole = quantize(filled, format=name, **OCP)
    assert np.array_equal(short.codes, whole.codes[:, :70]), f"{name}: codes of a short block"
    assert np.array_equal(short.scales, whole.scales), f"{name}: scales of a short block"
    assert dequantize(short).shape == (2, 70), f"{name}: the filling is not stored"


def test_empty_tensors_have_no_blocks() -> None:
    q = quantize(np.zeros((3, 0), np.float32), format="mxfp4", **OCP)
    assert (q.codes.shape, q.scales.shape) == ((3, 0), (3, 0)), "no codes, no scales"
    assert dequantize(q).shape == (3, 0), "and back"


# What each producer makes of one block, run on a CPU: torchao 0.18.0, ModelOpt 0.47.0,
# compressed-tensors 0.20.0, AutoRound 0.16.1, microxcaling (2024-10), MLX 0.32.4 and 0.30.0, qwix
# (2026-08). microxcaling returns reals only: no scale.
WITNESS = [7.0, -2.5, 1.25, 0.0, -0.0, 0.75, 3.5, -1e-3]
GOLDEN: dict[str, tuple[str, int | None, list[float]]] = {  # format, scale code, reals
    "torchao_floor": ("mxfp4", 127, [6, -2, 1, 0, 0, 1, 4, 0]),
    "torchao_ceil": ("mxfp4", 128, [8, -2, 1, 0, 0, 1, 4, 0]),
    "torchao_even": ("mxfp4", 128, [8, -2, 1, 0, 0, 1, 4, 0]),
    "torchao_rceil": ("mxfp4", 128, [8, -2, 1, 0, 0, 1, 4, 0]),
    "microxcaling": ("mxfp4", None, [6, -3, 1.5, 0, 0, 1, 4, 0]),
    "modelopt_mxfp4": ("mxfp4", 128, [6, -2, 1, 0, 0, 1, 3, 0]),
    "modelopt_mxfp8": ("mxfp8_e4m3", 121, [7, -2.5, 1.25, 0, 0, 0.75, 3.5, -(2.0**-10)]),
    "compressed_tensors": ("mxfp8_e4m3", 122, [7, -2.5, 1.25, 0, 0, 0.75, 3.5, -(2.0**-10)]),
    "compressed_tensors_mxfp6": ("mxfp6_e2m3", 127, [7, -2.5, 1.25, 0, 0, 0.75, 3.5, 0]),
    "autoround": ("mxfp4", 127, [6, -2, 1, 0, 0, 1, 4, 0]),
    "autoround_rceil": ("mxfp4", 128, [8, -2, 1, 0, 0, 1, 4, 0]),
    "autoround_rceil_v2": ("mxfp4", 127, [6, -2, 1, 0, 0, 1, 4, 0]),
    "mlx_mxfp4": ("mxfp4", 128, [6, -2, 1, 0, 0, 1, 3, 0]),
    "mlx_mxfp8": ("mxfp8_e4m3", 121, [7, -2.5, 1.25, 0, 0, 0.75, 3.5, -(2.0**-10)]),
    "mlx_0_30_mxfp4": ("mxfp4", 127, [6, -2, 1, 0, 0, 0.5, 3, 0]),
    "mlx_0_30_mxfp8": ("mxfp8_e4m3", 121, [7, -2.5, 1.25, 0, 0, 0.75, 3.5, -(2.0**-10)]),
    "qwix": ("mxfp4", 128, [8, -2, 1, 0, 0, 1, 4, 0]),
}


def test_every_producer_has_a_golden_block() -> None:
    assert set(GOLDEN) | {"ocp"} == set(MX_PRODUCERS), "ocp is a text"


@pytest.mark.parametrize("producer", GOLDEN)
def test_golden_blocks(producer: str) -> None:
    name, scale, reals = GOLDEN[producer]
    x = np.zeros(32, np.float32)
    x[: len(WITNESS)] = WITNESS
    q = quantize_like(x, format=name, producer=producer)
    assert scale in (None, int(q.scales[0])), f"{producer}: scale {q.scales[0]}, measured {scale}"
    got = dequantize(q)[: len(WITNESS)]
    assert got.tolist() == reals, f"{producer}: {got}, measured {reals}"


def test_two_producers_of_one_rule_differ_by_a_logarithm() -> None:
    x = np.zeros(32, np.float32)
    x[0] = np.nextafter(np.float32(2.0**16), np.float32(0))
    exact = quantize_like(x, format="mxfp4", producer="ocp").scales.tolist()
    logarithm = quantize_like(x, format="mxfp4", producer="microxcaling").scales.tolist()
    assert (exact, logarithm) == ([140], [141]), "just below 2^16"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": "mxfp5"}, "format must be one of"),
        ({"rounding": "nearest"}, "rounding must be one of"),
        ({"tail": "drop"}, "axis must be a multiple of 32"),
        ({"axis": 1}, "axis must be an integer in"),
        ({"x": np.zeros(32)}, "x must be float32"),
        ({"format": "mxint8", "overflow": "nan"}, "overflow must be saturate for mxint8"),
        ({"format": "mxint8", "rounding": "nearest"}, "rule must be one of"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    kw: dict[str, Any] = {"x": np.zeros(32, np.float32), "format": "mxfp4", **OCP, **change}
    with pytest.raises(ValueError, match=message):
        quantize(kw.pop("x"), **kw)


def test_unknown_producers_and_wrong_scales_are_refused() -> None:
    x = np.zeros(32, np.float32)
    with pytest.raises(ValueError, match=r"producer must be one of .*microxcaling"):
        quantize_like(x, format="mxfp4", producer="tensorrt")
    q = quantize(x, format="mxfp4", **OCP)
    wrong = BlockFloat("mxfp4", q.codes, np.zeros(2, np.uint8), -1)
    with pytest.raises(ValueError, match=r"scales must be uint8 of shape \(1,\)"):
        dequantize(wrong)
    with pytest.raises(ValueError, match="codes of e2m1 must be in"):
        dequantize(BlockFloat("mxfp4", q.codes + np.uint8(16), q.scales, -1))


@pytest.mark.parametrize("producer", MX_PRODUCERS)
def test_every_producer_runs_on_every_block(producer: str) -> None:
    x = blocks(32, seed=9, count=5)
    q = quantize_like(x, format="mxfp4", producer=producer)
    back = dequantize(q)
    bound = np.abs(x).max(axis=1, keepdims=True)
    # Every rule has M * X > amax / 2, so no error exceeds the largest magnitude.
    assert (np.abs(np.nan_to_num(back) - x) <= bound).all(), f"{producer}: worse than zeros"


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_explain_what_quantize_does(card: Any) -> None:
    x = np.array([3.3, -0.7, 7.9, 2.5, 0.0], np.float32)
    steps = card.explain(x)
    block = np.zeros(32, np.float32)
    block[:5] = x
    back = dequantize(quantize(block, format=card.name, **OCP))
    shown = [float(step.result.split(" ")[0]) for step in steps[-5:]]
    assert np.array_equal(np.array(shown, np.float32), back[:5]), f"{card.name}: {shown}"
    assert card.bits_per_value == MX_FORMATS[card.name].num_bits + 0.25, "8 bits for 32 values"
    for special in (np.nan, np.inf, 0.0, 1e-45):
        assert card.explain(np.array([special], np.float32)), f"{card.name}: {special}"
    top = Fraction(MX_FORMATS[card.name].max_value)
    assert f"2^{floor_log2(top)} " in steps[1].how, "the largest power of two"
