"""Small floats beside ml_dtypes, code by code. Where it differs, a named entry says who is right.

The policies are not differences: ml_dtypes has one for each type, and ``POLICY`` names it.
"""

from typing import Any

import numpy as np
import pytest

from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import E8M0_ROUND_MODES, FLOAT_FORMATS

ml_dtypes = pytest.importorskip("ml_dtypes")
Array = np.ndarray[Any, Any]

# ours: (name of ml_dtypes, its overflow, its NaN where the format has none)
POLICY: dict[str, tuple[str, str, str | None]] = {
    "e4m3fn": ("float8_e4m3fn", "nan", None),
    "e4m3fnuz": ("float8_e4m3fnuz", "nan", None),
    "e5m2": ("float8_e5m2", "ieee", None),
    "e5m2fnuz": ("float8_e5m2fnuz", "nan", None),
    "e4m3": ("float8_e4m3", "ieee", None),
    "e3m4": ("float8_e3m4", "ieee", None),
    "e4m3b11fnuz": ("float8_e4m3b11fnuz", "nan", None),
    "e3m2": ("float6_e3m2fn", "saturate", "negative_zero"),
    "e2m3": ("float6_e2m3fn", "saturate", "negative_zero"),
    "e2m1": ("float4_e2m1fn", "saturate", "negative_zero"),
    "e8m0": ("float8_e8m0fnu", "nan", None),
    "bf16": ("bfloat16", "ieee", None),
}
NOT_SHARED = {"ue4m3", "ue5m3", "fp16"}  # ml_dtypes has none of them; NumPy has float16

# Differences that no policy explains.
NAN_LOSES_ITS_SIGN_TWICE = {"e3m2", "e2m3", "e2m1"}
"""ml_dtypes makes +NaN -0 and -NaN +0: the sign of NaN, inverted. By OCP MX 1.0, section 5.3,
FP6 and FP4 have no NaN, so no result is the right one; ours gives both signs one code.
Minimal input: the float32 0xFFC00000."""
E8M0_STEPS_TOO_EARLY = (2.0**-127, 1.5 * 2.0**-127)
"""Between these two, ends excluded, ml_dtypes has 2^-126 though 2^-127 is nearer (it is right in
every other binade). As rounding to nearest (IEEE 754-2019, 4.3), it is wrong.
Minimal input: the float32 0x00400001, the one after 2^-127."""
FLOAT64_GOES_THROUGH_FLOAT32 = 1 + 2.0**-8 + 2.0**-40
"""As bfloat16, ml_dtypes makes this 1.0: two roundings. IEEE 754-2019, 4.3 has one: 1.0078125."""


def outside(x: Array, name: str) -> Array:
    """The codes of ml_dtypes."""
    kind = getattr(ml_dtypes, POLICY[name][0])
    with np.errstate(all="ignore"):
        y = x.astype(kind)
    return np.asarray(y.view(np.uint8 if y.itemsize == 1 else np.uint16))


def ours(x: Array, name: str) -> Array:
    _, overflow, nan = POLICY[name]
    return encode(x, FLOAT_FORMATS[name], overflow=overflow, nan=nan)


def inputs() -> Array:
    """Every float16 and bfloat16 with its neighbours in float32; infinities and NaN too."""
    bits = np.arange(1 << 16, dtype=np.uint32)
    bf16 = bits << 16
    half = bits.astype(np.uint16).view(np.float16)
    fp16 = half[~np.isnan(half)].astype(np.float32).view(np.uint32)
    near = [bf16, bf16 ^ 1, bf16 | 0x8000, bf16 | 0x7FFF, bf16 | 0x8001, fp16, fp16 ^ 1, fp16 - 1]
    return np.concatenate(near).view(np.float32)


def test_every_format_is_compared() -> None:
    assert set(POLICY) | NOT_SHARED == set(FLOAT_FORMATS), "say why a format is not compared"


@pytest.mark.parametrize("name", POLICY)
def test_every_code_means_the_same(name: str) -> None:
    kind, row = getattr(ml_dtypes, POLICY[name][0]), FLOAT_FORMATS[name]
    codes = np.arange(1 << row.num_bits).astype(np.uint8 if row.num_bits <= 8 else np.uint16)
    theirs, got = codes.view(kind).astype(np.float32), decode(codes, row)
    assert np.array_equal(got, theirs, equal_nan=True), f"{name}: {got} is not {theirs}"
    number = ~np.isnan(got)
    assert (np.signbit(got) == np.signbit(theirs))[number].all(), f"{name}: the signs of zero"


@pytest.mark.parametrize("name", POLICY)
def test_every_16_bit_input_and_its_neighbours_have_the_same_code(name: str) -> None:
    x = inputs()
    differ = ours(x, name) != outside(x, name)
    if name in NAN_LOSES_ITS_SIGN_TWICE:
        named = np.isnan(x) & np.signbit(x)
        assert differ[named].all(), f"{name}: the named difference is gone; take it off the table"
        differ &= ~named
    if name == "e8m0":
        named = (x > E8M0_STEPS_TOO_EARLY[0]) & (x < E8M0_STEPS_TOO_EARLY[1])
        assert differ[named].all(), "the named difference is gone; take it off the table"
        assert (outside(x[named], name) == 1).all(), "ml_dtypes has 2^-126 here"
        differ &= ~named
    wrong = [(float(v).hex(), int(ours(v, name)), int(outside(v[None], name)[0]))
             for v in x[differ][:5]]  # fmt: skip
    assert not wrong, f"{name}: (x, ours, ml_dtypes) = {wrong}"


def test_float64_is_rounded_once_by_us_and_twice_by_ml_dtypes() -> None:
    x = np.array([FLOAT64_GOES_THROUGH_FLOAT32])
    assert ours(x, "bf16").tolist() == [0x3F81], "one rounding"
    assert outside(x, "bf16").tolist() == [0x3F80], "no longer two roundings: drop this entry"


def test_float16_is_that_of_numpy() -> None:
    x = inputs()
    x = x[~np.isnan(x)]
    with np.errstate(over="ignore"):
        theirs = x.astype(np.float16).view(np.uint16)
    got = encode(x, FLOAT_FORMATS["fp16"], overflow="ieee")
    assert (got == theirs).all(), f"differs at {x[got != theirs][:5]}"
    wide = x.astype(np.float64) * (1 + 2.0**-40)
    with np.errstate(over="ignore"):
        theirs = wide.astype(np.float16).view(np.uint16)
    got = encode(wide, FLOAT_FORMATS["fp16"], overflow="ieee")
    assert (got == theirs).all(), f"float64 differs at {wide[got != theirs][:5]}"


def test_unsigned_scales_are_the_positive_half_of_their_signed_format() -> None:
    x = np.abs(inputs())
    got = encode(x, FLOAT_FORMATS["ue4m3"], overflow="nan")
    assert (got == outside(x, "e4m3fn")).all(), "UE4M3 is E4M3FN without its sign"


@pytest.mark.parametrize("mode", E8M0_ROUND_MODES)
def test_scales_round_as_those_of_onnx(mode: str) -> None:
    helper = pytest.importorskip("onnx.numpy_helper")
    x = inputs()
    x = x[np.isfinite(x) & (x >= 2.0**-126)]  # below, onnx reads the bits of a subnormal as 2^-127
    theirs = helper.to_float8e8m0(x, saturate=True, round_mode=mode).view(np.uint8)
    got = encode(x, FLOAT_FORMATS["e8m0"], rounding=E8M0_ROUND_MODES[mode])
    wrong = [float(v).hex() for v in x[got != theirs][:5]]
    assert not wrong, f"{mode}: differs at {wrong}"


ONNX_STEPS_FROM_AN_EXACT_SCALE = 2.0**-127
"""E8M0 holds this number, code 0. onnx with round_mode="up" has code 1: it sees mantissa bits, but
those of a subnormal. Rounding up is to the least value not below (IEEE 754-2019, 4.3.2)."""


def test_an_exact_scale_stays_here_and_goes_up_in_onnx() -> None:
    helper = pytest.importorskip("onnx.numpy_helper")
    x = np.array([ONNX_STEPS_FROM_AN_EXACT_SCALE], np.float32)
    theirs = helper.to_float8e8m0(x, saturate=True, round_mode="up").view(np.uint8)
    assert theirs.tolist() == [1], "the named difference is gone; take it off the table"
    got = encode(x, FLOAT_FORMATS["e8m0"], rounding=E8M0_ROUND_MODES["up"])
    assert got.tolist() == [0], "2^-127 is exact"
