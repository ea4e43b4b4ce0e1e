"""Tables of int8 functions, against fractions; two codes that only one rule gives."""

import math
from fractions import Fraction

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.model.importers.tflite_model import UnsupportedError
from refquant.model.importers.tflite_tables import table_of

F = np.float32


def ruler(scale: float, zero_point: int) -> QParams:
    return QParams(F(scale), np.int32(zero_point), None, "int8")


def half_even(v: Fraction) -> int:
    return round(v)


def half_away(v: Fraction) -> int:
    return math.floor(abs(v) + Fraction(1, 2)) * (1 if v >= 0 else -1)


def clamp(code: int) -> int:
    return max(-128, min(127, code))


@pytest.mark.parametrize("name", ["xnnpack", "tflite_reference", "tflite_builtin"])
@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
def test_the_logistic_is_rounded_where_the_tool_does(name: str, scale: float) -> None:
    got = table_of(preset(name), "LOGISTIC", ruler(scale, -9), ruler(1 / 256, -128))
    for i, q in enumerate(range(-128, 128)):
        real = float(F(F(q + 9) * F(scale)))
        y = Fraction(float(F(F(1 / (1 + math.exp(-real))) * F(256))))
        exact = half_even(y - 128) if name == "xnnpack" else half_away(y) - 128
        assert got[i] == clamp(exact), f"{name}: code {q}"


def test_a_tie_goes_away_or_to_the_even_code_behind_the_zero_point() -> None:
    """The logistic of 0 is 1/2: half a step of scale 1."""
    for zero_point, xnnpack, tflite in ((0, 0, 1), (1, 2, 2), (2, 2, 3)):
        x, y = ruler(1.0, 0), ruler(1.0, zero_point)
        for name, code in (("xnnpack", xnnpack), ("tflite_builtin", tflite)):
            got = table_of(preset(name), "LOGISTIC", x, y)[128]
            assert got == code, f"{name}, zero point {zero_point}"


def test_a_code_to_a_code_by_8_bits_or_by_31() -> None:
    x, y = ruler(0.1, 3), ruler(0.13, -4)
    fast = table_of(preset("xnnpack"), "QUANTIZE", x, y)
    exact = table_of(preset("tflite_reference"), "QUANTIZE", x, y)
    m = round(Fraction(float(F(F(0.1) / F(0.13)))) * 256)
    ratio = Fraction(float(F(0.1))) / Fraction(float(F(0.13)))
    for i, q in enumerate(range(-128, 128)):
        assert fast[i] == clamp(half_even_up(Fraction(m * (q - 3), 256)) - 4), f"code {q}"
        assert exact[i] == clamp(half_away(ratio * (q - 3)) - 4), f"code {q}"
    assert np.count_nonzero(fast != exact) == 0 or m == 197, "0.77 is 197 / 256, nearly"


def half_even_up(v: Fraction) -> int:
    return math.floor(v + Fraction(1, 2))


def test_relu6_clamps_to_codes_of_its_output() -> None:
    got = table_of(preset("tflite_builtin"), "RELU6", ruler(0.1, 0), ruler(0.05, -100))
    assert (got.min(), got.max()) == (-100, 20), "0 and 6 in steps of 0.05 from -100"


def test_what_has_no_table_says_so() -> None:
    with pytest.raises(UnsupportedError, match="of int8 is not known"):
        table_of(preset("xnnpack"), "FLOOR", ruler(1, 0), ruler(1, 0))
