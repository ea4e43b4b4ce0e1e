"""The table of small floats against the numbers that their specifications print."""

import dataclasses
from typing import Any

import pytest

from refquant.numerics.minifloat_formats import (
    E8M0_ROUND_MODES,
    FLOAT_FORMATS,
    FloatFormat,
    float_format,
)

# name: (bits, largest, smallest normal, smallest positive, code of infinity, code of NaN)
PRINTED: dict[str, tuple[int, float, float, float, int | None, int | None]] = {
    "e4m3fn": (8, 448.0, 2.0**-6, 2.0**-9, None, 0x7F),
    "e4m3fnuz": (8, 240.0, 2.0**-7, 2.0**-10, None, 0x80),
    "e5m2": (8, 57344.0, 2.0**-14, 2.0**-16, 0x7C, 0x7E),
    "e5m2fnuz": (8, 57344.0, 2.0**-15, 2.0**-17, None, 0x80),
    "e4m3": (8, 240.0, 2.0**-6, 2.0**-9, 0x78, 0x7C),
    "e3m4": (8, 15.5, 0.25, 2.0**-6, 0x70, 0x78),
    "e4m3b11fnuz": (8, 30.0, 2.0**-10, 2.0**-13, None, 0x80),
    "e3m2": (6, 28.0, 0.25, 0.0625, None, None),
    "e2m3": (6, 7.5, 1.0, 0.125, None, None),
    "e2m1": (4, 6.0, 1.0, 0.5, None, None),
    "e8m0": (8, 2.0**127, 2.0**-127, 2.0**-127, None, 0xFF),
    "ue4m3": (7, 448.0, 2.0**-6, 2.0**-9, None, 0x7F),
    "ue5m3": (8, 114688.0, 2.0**-14, 2.0**-17, None, 0xFF),
    "bf16": (16, 255 * 2.0**120, 2.0**-126, 2.0**-133, 0x7F80, 0x7FC0),
    "fp16": (16, 65504.0, 2.0**-14, 2.0**-24, 0x7C00, 0x7E00),
}


def test_the_formats_are_those_of_the_printed_table() -> None:
    assert list(FLOAT_FORMATS) == list(PRINTED), "a format without printed numbers is not tested"


@pytest.mark.parametrize("name", PRINTED)
def test_a_format_has_the_printed_limits(name: str) -> None:
    row = FLOAT_FORMATS[name]
    got = (
        *(row.num_bits, row.max_value, row.min_normal, row.min_positive),
        *(row.inf_code, row.nan_code),
    )
    assert got == PRINTED[name], f"{name} has {got}, its specification {PRINTED[name]}"
    assert row.name == name, f"{name} calls itself {row.name}"


def test_a_format_is_found_by_its_name() -> None:
    assert float_format("bf16") is FLOAT_FORMATS["bf16"], "the table holds it"
    with pytest.raises(ValueError, match=r"format must be one of e4m3fn, .*; got 'e9m9'"):
        float_format("e9m9")


def test_scales_round_by_the_names_of_onnx() -> None:
    assert set(E8M0_ROUND_MODES) == {"up", "down", "nearest"}, f"got {E8M0_ROUND_MODES}"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"nan": "first"}, "nan must be one of"),
        ({"sign_bits": 2}, "sign_bits must be 0 or 1"),
        ({"exponent_bits": 0}, "exponent_bits >= 1"),
        ({"mantissa_bits": -1}, "mantissa_bits >= 0"),
        ({"mantissa_bits": 12}, "at most 16 bits, got 17"),
        ({"has_inf": True}, "has_inf goes with"),
        ({"nan": "ieee"}, "has_inf goes with"),
        ({"nan": "ieee", "has_inf": True, "mantissa_bits": 0}, "needs a sign and a mantissa"),
        ({"negative_zero": False}, "negative_zero=False contradicts"),
        ({"sign_bits": 0, "negative_zero": False, "nan": "negative_zero"}, "needs a sign"),
        ({"has_subnormals": False}, "must be unsigned"),
        ({"bias": 200}, "bias 200 leads outside"),
        ({"bias": -120}, "bias -120 leads outside"),
    ],
)
def test_a_layout_that_contradicts_itself_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(FLOAT_FORMATS["e4m3fn"], **change)


def test_a_user_may_add_a_format() -> None:
    s1e3m0 = FloatFormat("e3m0", 1, 3, 0, 3, has_inf=False, nan="none", negative_zero=True)
    assert (s1e3m0.max_value, s1e3m0.min_positive) == (16.0, 0.25), "E3M0: powers of two and zero"
