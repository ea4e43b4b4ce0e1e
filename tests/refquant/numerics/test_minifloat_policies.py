"""Small floats at and beyond the ends: overflow, infinities, NaN, -0, what a format cannot do."""

from typing import Any

import numpy as np
import pytest

from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import FLOAT_FORMATS

INF, NAN = float("inf"), float("nan")
every_format = pytest.mark.parametrize("name", FLOAT_FORMATS)


def meaning(x: float, name: str, **options: Any) -> str:
    """What the code of a float64 means, as text: NaN is equal to itself then."""
    row = FLOAT_FORMATS[name]
    return str(float(decode(encode(np.float64(x), row, **options), row)))


@pytest.mark.parametrize(
    ("name", "overflow", "x", "means"),
    [
        ("e4m3fn", "nan", 464.0, "448.0"),  # the tie goes to even: FF-05
        ("e4m3fn", "nan", 464.0001, "nan"),
        ("e4m3fn", "saturate", 464.0001, "448.0"),
        ("e4m3fn", "saturate", -1e300, "-448.0"),
        ("e4m3fn", "saturate", INF, "448.0"),
        ("e4m3fn", "nan", -INF, "nan"),
        ("e5m2", "inf", 61439.0, "57344.0"),
        ("e5m2", "inf", 61440.0, "inf"),
        ("e5m2", "ieee", -61440.0, "-inf"),
        ("e5m2", "nan", 61440.0, "nan"),
        ("e5m2", "saturate", -INF, "-57344.0"),
        ("fp16", "ieee", 65519.99, "65504.0"),
        ("fp16", "ieee", 65520.0, "inf"),
        ("bf16", "saturate", 1e300, str(255 * 2.0**120)),
        ("e2m1", "saturate", INF, "6.0"),
        ("ue4m3", "saturate", -1.0, "0.0"),
        ("ue4m3", "saturate", -INF, "0.0"),
        ("ue4m3", "nan", -1.0, "nan"),
        ("ue4m3", "nan", -(2.0**-10), "0.0"),  # rounds to zero, which is in range
        ("ue5m3", "saturate", INF, "114688.0"),
        ("e8m0", "saturate", 0.0, str(2.0**-127)),
        ("e8m0", "saturate", -0.0, str(2.0**-127)),
        ("e8m0", "saturate", -1.0, str(2.0**-127)),
        ("e8m0", "saturate", INF, str(2.0**127)),
        ("e8m0", "nan", 0.0, "nan"),
        ("e8m0", "nan", -1.0, "nan"),
        ("e8m0", "nan", 1.5 * 2.0**127, "nan"),
        ("e8m0", "nan", 2.0**-149, str(2.0**-127)),
    ],
)
def test_ff05_beyond_the_ends(name: str, overflow: str, x: float, means: str) -> None:
    got = meaning(x, name, overflow=overflow)
    assert got == means, f"{name} {overflow}: {x} means {means}, got {got}"


@pytest.mark.parametrize(
    ("rounding", "plus", "minus"),
    [
        *((rule, "inf", "-inf") for rule in ("half_even", "half_away", "half_up", "half_down")),
        ("toward_zero", "57344.0", "-57344.0"),
        ("floor", "57344.0", "-inf"),
        ("ceil", "inf", "-57344.0"),
    ],
)
def test_ff05_ieee_overflow_follows_the_rule(rounding: str, plus: str, minus: str) -> None:
    got = [meaning(x, "e5m2", overflow="ieee", rounding=rounding) for x in (1e6, -1e6)]
    assert got == [plus, minus], f"IEEE 754-2019, 7.4: {rounding} gives {plus}, {minus}; got {got}"
    ends = [meaning(x, "e5m2", overflow="ieee", rounding=rounding) for x in (INF, -INF)]
    assert ends == ["inf", "-inf"], f"an infinity is exact, not an overflow; got {ends}"


def test_ff06_an_infinity_may_have_a_policy_of_its_own() -> None:
    onnx = {"overflow": "saturate", "infinity": "nan"}  # the FNUZ types of ONNX, saturate=1
    got = [meaning(x, "e4m3fnuz", **onnx) for x in (1e6, -1e6, INF, -INF)]
    assert got == ["240.0", "-240.0", "nan", "nan"], f"got {got}"
    got = [meaning(x, "e5m2", overflow="nan", infinity="inf") for x in (1e6, -INF)]
    assert got == ["nan", "-inf"], f"got {got}"


@every_format
def test_ff06_nan_has_the_code_of_nan_and_its_sign(name: str) -> None:
    row = FLOAT_FORMATS[name]
    x = np.array([np.nan, np.copysign(np.nan, -1)], np.float32)
    if row.nan_code is None:
        with pytest.raises(ValueError, match=f"x must not hold NaN: {name} with nan='error'"):
            encode(x, row)
        return
    sign = 1 << (row.num_bits - 1) if row.negative_zero else 0
    got = encode(x, row).tolist()
    assert got == [row.nan_code, row.nan_code | sign], f"{name}: got {got}"


@pytest.mark.parametrize(
    ("name", "nan", "code"),
    [
        *(("e2m1", "zero", 0), ("e2m1", "negative_zero", 8), ("e2m1", "max", 7)),
        *(("e3m2", "max", 31), ("e4m3fn", "zero", 0), ("e8m0", "max", 254)),
    ],
)
def test_ff13_nan_where_the_format_has_none(name: str, nan: str, code: int) -> None:
    x = np.array([np.nan, 1.0, np.copysign(np.nan, -1)], np.float64)
    one = int(encode(1.0, FLOAT_FORMATS[name]))
    got = encode(x, FLOAT_FORMATS[name], nan=nan).tolist()
    assert got == [code, one, code], f"{name}: NaN is {code} by {nan!r}, got {got}"


@every_format
def test_ff07_a_tiny_negative_number_is_no_nan(name: str) -> None:
    row = FLOAT_FORMATS[name]
    expected = 1 << (row.num_bits - 1) if row.negative_zero else 0
    for x in (np.float32(-1e-45), np.float32(-0.0), np.float64(-5e-324)):
        got = int(encode(x, row))
        assert got == expected, f"{name}: {x} has code {expected:#x}, got {got:#x}"


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("e4m3fn", {"overflow": "inf"}, "e4m3fn has no code for an infinity"),
        ("e4m3fn", {"overflow": "ieee"}, "e4m3fn has no code for an infinity"),
        ("e8m0", {"infinity": "inf"}, "e8m0 has no code for an infinity"),
        ("e2m1", {"overflow": "nan"}, "e2m1 has no code for NaN"),
        ("e2m1", {"nan": "nan"}, "e2m1 has no code for NaN"),
        ("e8m0", {"nan": "zero"}, "e8m0 has no code for a zero"),
        ("e4m3fnuz", {"nan": "negative_zero"}, "e4m3fnuz has no code for a negative zero"),
        ("e5m2", {"overflow": "wrap"}, "overflow must be one of saturate, .*; got 'wrap'"),
        ("e5m2", {"infinity": "ieee"}, "infinity must be None, .*; got 'ieee'"),
        ("e5m2", {"nan": ""}, "nan must be one of nan, .*; got ''"),
        ("e5m2", {"rounding": "odd"}, "rounding must be one of half_even, .*; got 'odd'"),
        ("e5m2", {"rounding": "stochastic"}, "takes bits and num_bits"),
        ("e5m2", {"bits": np.zeros(1, np.uint8), "num_bits": 8}, "other rules take neither"),
        ("e5m2", {"num_bits": 8}, "other rules take neither"),
        (
            "e5m2",
            {"rounding": "stochastic", "bits": np.zeros(2, np.uint8), "num_bits": 8},
            "bits must have the shape of x",
        ),
    ],
)
def test_what_a_format_cannot_do_is_refused(
    name: str, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        encode(np.ones(1, np.float32), FLOAT_FORMATS[name], **options)


@pytest.mark.parametrize("x", [np.arange(3), np.ones(2, np.longdouble), np.ones(1, bool), "1.0"])
def test_what_is_no_float_is_refused(x: Any) -> None:
    with pytest.raises(ValueError, match="x must be float16, float32 or float64, got"):
        encode(x, FLOAT_FORMATS["e5m2"])


@pytest.mark.parametrize("codes", [[16], [-1], [1.0], [True]])
def test_what_is_no_code_is_refused(codes: list[Any]) -> None:
    with pytest.raises(ValueError, match=r"codes (of e2m1 )?must be"):
        decode(codes, FLOAT_FORMATS["e2m1"])
