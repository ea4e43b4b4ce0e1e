"""ggml's NVFP4 against a scalar program, libgguf and gguf; its scale against the right one."""

import math
from collections.abc import Sequence
from fractions import Fraction
from itertools import pairwise

import gguf
import numpy as np
import pytest

from refquant.formats.ggml import nvfp4
from refquant.numerics.minifloat import decode as decode_minifloat
from refquant.numerics.minifloat_formats import FLOAT_FORMATS
from tests.refquant.formats.ggml.simple import (
    LARGEST,
    corpus,
    expect_card,
    expect_oracle,
    expect_refusals,
    expect_shapes,
    f32,
    largest,
    nibbles,
    stacked,
)
from tests.refquant.formats.ggml.simple_laws import (
    expect_decoded_as_outside,
    expect_importance_has_no_effect,
    expect_libgguf,
)
from tests.refquant.formats.ggml.test_mxfp4 import closest

ROWS = corpus(64)


def value(code: int) -> float:
    """UE4M3 without its NaN, by the definition of the format."""
    field, mantissa = code >> 3, code & 7
    return math.ldexp(8 + mantissa, field - 10) if field else math.ldexp(mantissa, -9)


VALUES = [value(code) for code in range(0x7F)]


def as_in_c(x: float) -> int:
    """What ggml_fp32_to_ue4m3 gives: half up at the fourth bit, 7/512 below 2^-6, 448 from 248."""
    if x < 2.0**-6:
        return min(int(f32(f32(x * 512) + 0.5)), 7)
    if x >= 248:
        return 0x7E
    exponent = math.floor(math.log2(x))
    steps = Fraction(x) / Fraction(2) ** (exponent - 3)
    return (exponent + 7) * 8 - 8 + math.floor(steps + Fraction(1, 2))


def nearest(x: float) -> int:
    """The nearest value, of two the even code; above all, the last."""
    return min(range(0x7F), key=lambda c: (abs(Fraction(VALUES[c]) - Fraction(x)), c % 2))


SCALES = {"reference": as_in_c, "nearest": nearest}


def program(x: Sequence[float], flavour: str) -> bytes:
    scales, codes = b"", b""
    for start in range(0, 64, 16):
        part = x[start : start + 16]
        code = SCALES[flavour](f32(largest(part) / 6))
        scales += bytes([code])
        codes += nibbles([closest(v, VALUES[code] / 2) for v in part])
    return scales + codes


@pytest.mark.parametrize("flavour", nvfp4.FLAVOURS)
def test_bytes_are_those_of_the_scalar_program(flavour: str) -> None:
    rows = corpus(64, dense=False)
    ours = nvfp4.encode(stacked(rows), flavour=flavour)
    expect_oracle(ours, lambda x: program(x, flavour), rows)


def test_bytes_are_those_of_libgguf() -> None:
    expect_libgguf(nvfp4, "NVFP4", ROWS)
    expect_importance_has_no_effect(nvfp4, ROWS)
    with pytest.raises(NotImplementedError):
        gguf.quantize(stacked(ROWS), gguf.GGMLQuantizationType.NVFP4)


@pytest.mark.parametrize("flavour", nvfp4.FLAVOURS)
def test_scales_are_right_at_every_value_every_tie_and_beside_them(flavour: str) -> None:
    middles = [(a + b) / 2 for a, b in pairwise(VALUES)]
    points = np.array([*VALUES, *middles, 240, 248, 256, 464, 465, 1e9], np.float32)
    beside = [np.nextafter(points, np.float32(end)) for end in (0, 1e30)]
    x = np.concatenate([points, *beside, [np.float32(LARGEST)]])
    expected = [SCALES[flavour](v) for v in x.tolist()]
    assert nvfp4.encode_scale(x, flavour=flavour).tolist() == expected, "all 127 codes"


def test_where_the_reference_is_not_the_nearest() -> None:
    """The table in the docstring."""
    x = np.array([1.0625, 7.5 / 512, 248, 256, 300, 416], np.float32)
    of = {how: nvfp4.decode_scale(nvfp4.encode_scale(x, flavour=how)).tolist() for how in SCALES}
    assert of["reference"] == [1.125, 7 / 512, 448, 448, 448, 448], "ggml"
    assert of["nearest"] == [1.0, 8 / 512, 256, 256, 288, 416], "the format"


def test_a_block_of_large_values_loses_its_scale_in_the_reference() -> None:
    x = np.zeros(64, np.float32)
    x[:2] = 6 * 256, 256
    back = {how: nvfp4.decode(nvfp4.encode(x, flavour=how))[:2].tolist() for how in SCALES}
    assert back == {"reference": [1344.0, 224.0], "nearest": [1536.0, 256.0]}, "448 * 3, 448 / 2"


def test_every_scale_byte_and_code_decodes_as_outside() -> None:
    data = np.random.default_rng(9).integers(0, 256, (1024, 36)).astype(np.uint8)
    data[:, :4] = np.arange(4096).reshape(1024, 4) % 256
    data[:256, 4:] = np.arange(256, dtype=np.uint8)[:, None]
    ours = nvfp4.decode(data)
    expect_decoded_as_outside(nvfp4, "NVFP4", data)
    scales = nvfp4.decode_scale(np.arange(0x7F, dtype=np.uint8))
    assert scales.tolist() == VALUES, "the definition"
    assert np.array_equal(scales, decode_minifloat(np.arange(0x7F), FLOAT_FORMATS["ue4m3"])), "ours"
    high = nvfp4.decode_scale(np.arange(0x80, 0x100, dtype=np.uint8))
    assert high.tolist() == [*VALUES, 480.0], "the top bit is not looked at, and 0xff is no NaN"
    codes = np.concatenate([data[:, 4:12] % 16, data[:, 4:12] // 16], axis=1)
    e2m1 = decode_minifloat(codes, FLOAT_FORMATS["e2m1"]) + np.float32(0)  # -0 is 0 in ggml
    expected = e2m1 * nvfp4.decode_scale(data[:, 0])[:, None]
    assert np.array_equal(ours[:, :16], expected), "elements are E2M1"


def test_shapes_refusals_and_the_card() -> None:
    expect_shapes(nvfp4, "NVFP4")
    expect_refusals(nvfp4, "NVFP4")
    expect_card(nvfp4, "NVFP4", [3.3, -0.7, 1.0])
    shown = nvfp4.CARD.explain(np.array([6 * 256], np.float32))
    assert [s.result for s in shown[:2]] == ["448 = 0x7e", "256"], (
        "the card says what would be right"
    )
