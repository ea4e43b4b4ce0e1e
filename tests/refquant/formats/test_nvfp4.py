"""NVFP4 against float32 arithmetic on exact fractions, number by number; golden producers."""

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats.block_float import BlockFloat
from refquant.formats.nvfp4 import CARDS, NVFP4_PRODUCERS, dequantize, quantize, tensor_scale_of
from refquant_conformance.rational import divide, float32, multiply
from tests.refquant.formats.block_oracles import blocks, magnitudes, nearest

Array = np.ndarray[Any, Any]
every_producer = pytest.mark.parametrize("producer", NVFP4_PRODUCERS)
SIXTH = float32(Fraction(1, 6))


def inv(v: float) -> float:
    """AutoRound's reciprocal."""
    return 0.0 if v == 0 else divide(1.0, v)


def tensor(a: float, producer: str) -> float:
    """The tensor scale of the largest magnitude."""
    if producer in ("torchao", "modelopt"):
        return divide(a, 2688.0)
    if producer == "compressed_tensors":
        g = multiply(2688.0, divide(1.0, max(a, 2.0**-126)))
        return 1.0 if g == float("inf") else g
    if producer == "autoround":
        return multiply(2688.0, inv(a))
    return multiply(688128.0, inv(a)) if producer == "autoround_ue5m3_global" else 1.0


def block_scale(a: float, g: float, producer: str) -> tuple[int, float]:
    """The code of a block's scale, and what it means."""
    form = "ue5m3" if "ue5m3" in producer else "ue4m3"
    if producer.startswith("torchao"):
        real = max(divide(divide(a, 6.0), g), 2.0**-6)
    elif producer == "modelopt":
        real = divide(a, multiply(6.0, g))
        real = max(1.0 if real == 0 else real, 2.0**-9)
    elif producer == "compressed_tensors":
        real = multiply(g, divide(a, 6.0))
    elif producer == "qwix":
        real = divide(a, 6.0)
        real = 1.0 if real < 2.0**-63 else real
    else:
        real = multiply(g, multiply(a, SIXTH))
    top = magnitudes(form)
    code = len(top) - 1 if real > top[-1] else nearest(Fraction(real), form)
    if producer == "compressed_tensors" and code == 0:
        code = nearest(Fraction(1, 8), form)
    return code, float(top[code])


def element(x: float, s: float, g: float, producer: str) -> float:
    """The scaled element."""
    if producer.startswith("torchao"):
        return multiply(x, divide(divide(1.0, g), s))
    if producer == "modelopt":
        return divide(x, multiply(s, g))
    if producer in ("compressed_tensors", "qwix"):
        return divide(x, divide(s, g))
    if producer == "autoround":
        return multiply(x, inv(multiply(s, inv(g))))
    step = multiply(s, inv(g))
    return 0.0 if step == 0 else divide(x, step)


def real(d: float, s: float, g: float, producer: str) -> float:
    """What an element means."""
    if producer in ("compressed_tensors", "qwix"):
        return multiply(d, divide(s, g))
    if producer == "autoround":
        return multiply(d, inv(inv(multiply(s, inv(g)))))
    if producer.startswith("autoround"):
        return multiply(d, multiply(s, inv(g)))
    return multiply(d, multiply(s, g))


def oracle(x: Array, producer: str) -> tuple[float, list[int], list[list[int]], list[list[float]]]:
    """Tensor scale, codes of scales, codes and reals of blocks (n, 16)."""
    g = tensor(float(np.abs(x).max()), producer)
    scales, codes, reals = [], [], []
    keeps = producer in ("torchao", "torchao_single", "qwix")
    for block in x:
        code, s = block_scale(float(np.abs(block).max()), g, producer)
        line, back = [], []
        for v in block.tolist():
            y = element(v, s, g, producer)
            if y != y:  # 0/0: a scale that rounded to 0
                d = 8 if producer == "qwix" else 7
            else:
                size = 7 if abs(y) >= 6 else nearest(Fraction(y), "e2m1")
                negative = bool(np.signbit(np.float32(y))) and (keeps or y != 0)
                d = size + 8 * negative
            line.append(d)
            value = float(magnitudes("e2m1")[d % 8]) * (-1.0 if d > 7 else 1.0)
            back.append(real(value, s, g, producer))
        scales.append(code)
        codes.append(line)
        reals.append(back)
    return g, scales, codes, reals


@every_producer
@pytest.mark.parametrize("span", ["near one", "wide"])
def test_blocks_are_those_of_float32_arithmetic_on_fractions(producer: str, span: str) -> None:
    x = blocks(16, seed=2, count=8)
    if span == "near one":
        amax = np.abs(x).max(axis=1)
        x = x[((amax > 1e-3) & (amax < 1e3)) | (amax == 0)]
    x = np.concatenate([x[:24], x[24::3], np.zeros((1, 16), np.float32)])
    q = quantize(x, producer=producer)
    g, scales, codes, reals = oracle(x, producer)
    stored = None if q.tensor_scale is None else float(q.tensor_scale)
    wanted = None if NVFP4_PRODUCERS[producer].direction == "none" else g
    assert stored == wanted, f"{producer}: tensor scale"
    assert q.scales.ravel().tolist() == scales, f"{producer}: scales"
    assert q.codes.tolist() == codes, f"{producer}: codes"
    assert dequantize(q).tolist() == reals, f"{producer}: reals"


def near_ties(producer: str, a: float, seed: int) -> Array:
    """A tensor that reaches ``a``, all maxima and elements next to a tie of their rounding."""
    random = np.random.default_rng(seed)
    g = tensor(a, producer)
    form = "ue5m3" if "ue5m3" in producer else "ue4m3"
    unit = {"multiplier": g, "divisor": 1 / g, "none": 1.0}[NVFP4_PRODUCERS[producer].direction]
    reals = np.array([float(v) for v in magnitudes(form)])
    ties = (reals[:-1] + reals[1:]) / 2 * 6 * unit
    ties = random.choice(ties[(ties < a) & (ties > a * 1e-3)], 10)
    maxima = np.concatenate([ties, ties, ties]).astype(np.float32)
    maxima[10:20] = np.nextafter(maxima[10:20], np.float32(0))
    maxima[20:] = np.nextafter(maxima[20:], np.float32(np.inf))
    x = np.zeros((31, 16), np.float32)
    x[0, 0], x[1:, 0] = a, maxima
    for row in x:
        _, s = block_scale(float(row[0]), g, producer)
        middle = np.array([0.25, 0.75, 1.25, 1.75, 2.5]) * s * unit
        near = np.concatenate([middle, middle, middle]).astype(np.float32)
        near[5:10] = np.nextafter(near[5:10], np.float32(0))
        near[10:] = np.nextafter(near[10:], np.float32(np.inf))
        row[1:] = np.minimum(near, row[0])
    return x


@every_producer
@pytest.mark.parametrize("a", [3.0, 7.0, 26.0])
def test_ties_of_scales_and_elements_fall_as_in_exact_fractions(producer: str, a: float) -> None:
    x = near_ties(producer, a, seed=int(a))
    q = quantize(x, producer=producer)
    _, scales, codes, reals = oracle(x, producer)
    assert q.scales.ravel().tolist() == scales, f"{producer}: scales"
    assert q.codes.tolist() == codes, f"{producer}: codes"
    assert dequantize(q).tolist() == reals, f"{producer}: reals"


# Run on a CPU: torchao 0.18.0, ModelOpt 0.47.0, compressed-tensors 0.20.0, AutoRound 0.16.1, qwix
# (2026-08). AutoRound returns reals and the reals of the scales.
WITNESS = np.zeros(32, np.float32)
WITNESS[:8] = 7.0, -2.5, 1.25, 0.0, -0.0, 0.75, 3.5, -1e-3
WITNESS[16:20] = 0.11, -0.05, 0.0123, 0.003
GOLDEN: dict[str, tuple[str | None, list[int], list[int], list[int]]] = {
    "torchao": ("0x1.5555560000000p-9", [126, 78], [7, 12, 2, 0, 8, 1, 5, 8], [7, 13, 1, 0]),
    "torchao_single": (None, [57, 9], [7, 12, 2, 0, 8, 1, 5, 8], [7, 13, 1, 0]),
    "modelopt": ("0x1.5555560000000p-9", [126, 78], [7, 12, 2, 0, 0, 1, 5, 8], [7, 13, 1, 0]),
    "compressed_tensors": (
        "0x1.8000020000000p+8", [126, 78], [7, 12, 2, 0, 0, 1, 5, 8], [7, 13, 1, 0],
    ),
    "qwix": (None, [57, 9], [7, 12, 2, 0, 8, 1, 5, 8], [7, 13, 1, 0]),
}  # fmt: skip
AUTOROUND = {  # real scales, real elements
    "autoround": (
        [448.0, 7.0],
        "0x1.cp+2 -0x1.2aaaaap+1 0x1.2aaaaap+0 0 0 0x1.2aaaaap-1 0x1.cp+1 -0",
        "0x1.cp-4 -0x1.cp-5 0x1.2aaaaap-7 0",
    ),
    "autoround_ue5m3": (
        [1.125, 0.017578125],
        "0x1.bp+2 -0x1.2p+1 0x1.2p+0 0 0 0x1.2p-1 0x1.bp+1 -0",
        "0x1.bp-4 -0x1.bp-5 0x1.2p-7 0",
    ),
    "autoround_ue5m3_global": (
        [114688.0, 1792.0],
        "0x1.cp+2 -0x1.2aaaaap+1 0x1.2aaaaap+0 0 0 0x1.2aaaaap-1 0x1.cp+1 -0",
        "0x1.cp-4 -0x1.cp-5 0x1.2aaaaap-7 0",
    ),
}


def test_golden_codes() -> None:
    assert set(GOLDEN) | set(AUTOROUND) == set(NVFP4_PRODUCERS), "a producer without golden codes"
    for producer, (g, scales, first, second) in GOLDEN.items():
        q = quantize(WITNESS, producer=producer)
        got_g = None if q.tensor_scale is None else float(q.tensor_scale).hex()
        got = (got_g, q.scales.tolist(), q.codes[:8].tolist(), q.codes[16:20].tolist())
        assert got == (g, scales, first, second), f"{producer} as measured: {got}"


@pytest.mark.parametrize("producer", AUTOROUND)
def test_golden_reals(producer: str) -> None:
    scales, first, second = AUTOROUND[producer]
    q = quantize(WITNESS, producer=producer)
    form = "ue5m3" if "ue5m3" in producer else "ue4m3"
    assert [float(magnitudes(form)[c]) for c in q.scales] == scales, f"{producer}: scales"
    back = dequantize(q)
    want = [float.fromhex(t) for t in f"{first} {second}".split()]
    assert [*back[:8].tolist(), *back[16:20].tolist()] == want, f"{producer}: reals"


def test_the_order_of_the_divisions_decides_a_scale() -> None:
    """Measured in torchao and ModelOpt: 184 = 448 * 2.875 / 7 is a tie of 176 and 192."""
    x = np.zeros(32, np.float32)
    x[0], x[16] = 7.0, 2.875
    got = {p: int(quantize(x, producer=p).scales[1]) for p in ("torchao", "modelopt")}
    assert got == {"torchao": 115, "modelopt": 116}, f"(a / 6) / g and a / (6 g): {got}"


def test_the_order_of_the_divisions_decides_an_element() -> None:
    """Measured in torchao and ModelOpt: 1.75 of 3 is 3.5 of 6, the tie of 3 and 4."""
    x = np.zeros(16, np.float32)
    x[:2] = 3.0, 1.75
    got = {p: quantize(x, producer=p).codes[:2].tolist() for p in ("torchao", "modelopt")}
    assert got == {"torchao": [7, 5], "modelopt": [7, 6]}, f"3.4999998 and 3.5: {got}"


# What a producer makes of a block of zeros among others: (scale code, what it means).
ZERO_BLOCK = {
    "torchao": 8, "torchao_single": 8, "modelopt": 0x38, "compressed_tensors": 0x20,
    "qwix": 0x38, "autoround": 0, "autoround_ue5m3": 0, "autoround_ue5m3_global": 0,
}  # fmt: skip


@every_producer
def test_a_block_of_zeros_among_others(producer: str) -> None:
    x = np.zeros(32, np.float32)
    x[0] = 3.0
    q = quantize(x, producer=producer)
    assert int(q.scales[1]) == ZERO_BLOCK[producer], f"{producer}: {q.scales}"
    assert (q.codes[16:] == 0).all(), f"{producer}: elements"
    assert (dequantize(q)[16:] == 0).all(), f"{producer}: zeros come back"


@every_producer
def test_a_tensor_of_zeros(producer: str) -> None:
    """torchao and ModelOpt divide 0 by 0 here: both packages store NaN scales."""
    q = quantize(np.zeros((2, 16), np.float32), producer=producer)
    back = dequantize(q)
    if producer in ("torchao", "modelopt"):
        assert q.scales.ravel().tolist() == [0x7F, 0x7F], f"{producer}: NaN"
        assert np.isnan(back).all(), f"{producer}: NaN comes back"
    else:
        assert (back == 0).all(), f"{producer}: zeros come back"
    empty = quantize(np.zeros((2, 0), np.float32), producer=producer)
    assert dequantize(empty).shape == (2, 0), f"{producer}: an empty tensor"


def test_a_scale_that_rounds_to_zero_loses_the_block_in_two_ways() -> None:
    x = np.full(16, 2.0**-10, np.float32)  # a / 6 is below half of UE4M3's smallest
    lost = quantize(x, producer="qwix")
    assert (lost.scales.tolist(), lost.codes[0]) == ([0], 7), "x / 0 is infinite, saturated"
    kept = quantize(x, producer="compressed_tensors")
    assert dequantize(lost)[0] == 0, "times a scale of 0"
    assert dequantize(kept)[0] == x[0], "the tensor scale keeps it"


@every_producer
def test_denormal_tensors_come_back_finite_or_not_as_the_producer_has_it(producer: str) -> None:
    x = np.full(16, 2.0**-140, np.float32)
    g, scales, codes, _ = oracle(x[None], producer)
    q = quantize(x, producer=producer)
    assert q.scales.tolist() == scales, f"{producer}: scales {g}"
    assert [q.codes.tolist()] == codes, f"{producer}: codes"


def test_the_wrong_direction_is_off_by_the_square_of_the_tensor_scale() -> None:
    x = WITNESS * np.float32(2.0**-20)
    q = quantize(x, producer="modelopt")
    wrong = dataclasses.replace(q, producer="compressed_tensors")
    ratio = dequantize(wrong)[0] / dequantize(q)[0]
    g = float(q.tensor_scale or 0)
    # Four float32 roundings lie between the two ways: (1 + 2^-24)^4 < 1 + 2^-21.
    assert abs(ratio * g * g - 1) < 2.0**-21, f"1 / g^2, got {ratio}"


def test_axis_tail_and_a_calibrated_scale() -> None:
    x = np.concatenate(list(blocks(16, seed=4, count=2)))[:96].reshape(2, 48)
    last = quantize(x, producer="modelopt")
    first = quantize(x.T.copy(), producer="modelopt", axis=0)
    assert np.array_equal(first.codes.T, last.codes), "codes along axis 0"
    assert np.array_equal(dequantize(first).T, dequantize(last)), "reals along axis 0"
    with pytest.raises(ValueError, match="axis must be a multiple of 16"):
        quantize(x[:, :40], producer="modelopt")
    short = quantize(x[:, :40], producer="autoround", tail="pad")
    filled = np.where(np.arange(48) < 40, x, np.float32(0))
    whole = quantize(filled, producer="autoround")
    assert np.array_equal(short.scales, whole.scales), "filled with zeros"
    assert np.array_equal(short.codes, whole.codes[:, :40]), "which are not stored"
    twice = tensor_scale_of(np.float32(2) * np.abs(x).max(), producer="modelopt")
    static = quantize(x, producer="modelopt", tensor_scale=twice)
    assert static.tensor_scale == twice, "a calibrated scale is kept"
    assert int(static.scales.max()) < int(last.scales.max()), "and leaves room above"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"producer": "tensorrt"}, "producer must be one of"),
        ({"x": np.full(16, np.nan, np.float32)}, "x must be finite"),
        ({"x": np.full(16, np.inf, np.float32)}, "x must be finite"),
        ({"x": np.zeros(16)}, "x must be float32"),
        ({"producer": "qwix", "tensor_scale": np.float32(1)}, "tensor_scale must be None"),
        ({"tail": "drop"}, "axis must be a multiple"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    kw: dict[str, Any] = {"x": np.zeros(16, np.float32), "producer": "modelopt", **change}
    with pytest.raises(ValueError, match=message):
        quantize(kw.pop("x"), **kw)


def test_what_cannot_be_read_is_refused() -> None:
    q = quantize(WITNESS, producer="modelopt")
    for change, message in (
        ({"format": "mxfp4"}, "q must be nvfp4"),
        ({"producer": None}, "q must be nvfp4 with a producer"),
        ({"tensor_scale": None}, "direction multiplier, got None"),
        ({"producer": "qwix"}, "direction none"),
        ({"scales": q.scales[:1]}, "scales must be uint8 of shape"),
    ):
        wrong: BlockFloat = dataclasses.replace(q, **change)
        with pytest.raises(ValueError, match=message):
            dequantize(wrong)
    with pytest.raises(ValueError, match="amax must be finite"):
        tensor_scale_of(np.float32(np.inf), producer="modelopt")


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)
def test_cards_explain_what_quantize_does(card: Any) -> None:
    producer = {"nvfp4": "modelopt", "nvfp4_ue5m3": "autoround_ue5m3"}[card.name]
    x = np.array([3.3, -0.7, 1.375], np.float32)
    block = np.zeros(16, np.float32)
    block[:3] = x
    q = quantize(block, producer=producer)
    steps = card.explain(x)
    shown = [np.float32(step.result.split(" ")[0]) for step in steps[-3:]]
    assert shown == dequantize(q)[:3].tolist(), f"{card.name}: {shown}"
    names = [step.what for step in steps]
    want = (
        ["amax", "g", "s, real", "s", "s * g"] if card.name == "nvfp4" else ["amax", "s, real", "s"]
    )
    assert names[: len(want)] == want, f"{card.name}: {names}"
    assert f"code {int(q.scales[0])} " in steps[want.index("s")].how, "the code of the scale"
    for special in (0.0, 1e-45, 3e38):
        assert card.explain(np.array([special], np.float32)), f"{card.name}: {special}"
