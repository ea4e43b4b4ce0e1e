"""The oracle of casts against a third opinion: ml_dtypes, where it does what the text says."""

import math

import ml_dtypes
import numpy as np
import pytest

from refquant_conformance.oracle_casts import FORMS, cast_exact, decode_exact
from refquant_conformance.types import storage

NARROW = [name for name in FORMS if name != "float16"]


@pytest.mark.parametrize("name", NARROW)
def test_codes_mean_what_ml_dtypes_says(name: str) -> None:
    form = FORMS[name]
    count = 1 << (form.exponent_bits + form.mantissa_bits + form.signed)
    codes = np.arange(0, count, 1 if count <= 256 else 41).astype(storage(name))
    with np.errstate(all="ignore"):
        theirs = codes.view(getattr(ml_dtypes, name)).astype(np.float64)
    for code, value in zip(codes.tolist(), theirs.tolist(), strict=True):
        ours = decode_exact(code, name)
        same = ours == value or (math.isnan(ours) and math.isnan(value))
        assert same, f"{name} {code:#x}: {ours}, ml_dtypes {value}"


@pytest.mark.parametrize("name", [n for n in NARROW if "e8m0" not in n])
def test_numbers_have_the_codes_that_ml_dtypes_gives(name: str) -> None:
    rng = np.random.default_rng(3)
    x = (rng.standard_normal(400) * np.exp2(rng.integers(-9, 3, 400))).astype(np.float32)
    with np.errstate(all="ignore"):
        theirs = x.astype(getattr(ml_dtypes, name)).view(storage(name))
    axes = {"rounding": "half_even", "fp_overflow": "ieee", "nan_becomes": "zero"}
    if name in ("float8_e4m3fnuz", "float8_e5m2fnuz"):
        axes["fp_overflow"] = "nan"
    for value, code in zip(x.tolist(), theirs.tolist(), strict=True):
        assert cast_exact(value, name, axes) == code, f"{value} to {name}: {code}"


def test_a_cast_by_hand() -> None:
    """1.0625 lies between 1 and 1.125 of e4m3fn, at the tie; 1 is even, and has the code 0x38."""
    axes = {"rounding": "half_even"}
    assert cast_exact(1.0625, "float8_e4m3fn", axes) == 0x38, "half_even"
    assert cast_exact(1.0625, "float8_e4m3fn", {"rounding": "half_away"}) == 0x39, "half_away"
    assert cast_exact(-1.0625, "float8_e4m3fn", {"rounding": "half_up"}) == 0xB8, "half_up"
    assert cast_exact(-1.0625, "float8_e4m3fn", {"rounding": "floor"}) == 0xB9, "floor"
    assert cast_exact(2.0, "float16", axes) == 2.0, "float16 is the number"
