"""Add in three arithmetics over every pair of codes, against Python integers."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import Contract, preset
from refquant.formats.affine import QParams
from refquant.ops.elementwise import (
    add_f32,
    add_quantized,
    div_f32,
    mul_f32,
    mul_quantized,
    sub_f32,
)

F = np.float32


def qparams(scale: float, zero_point: int, dtype: str) -> QParams:
    return QParams(F(scale), np.int32(zero_point), None, dtype)


def every_code(dtype: str) -> Any:
    info = np.iinfo(dtype)
    return np.arange(info.min, info.max + 1).astype(dtype)


def contract(add: str, requantize: str = "float_rne") -> Contract:
    axes = {**preset("onnx").to_json(), "add": add, "requantize": requantize}
    return Contract.from_json("changed", axes)


# name: (scale, zero point) of a, b and y, dtype
PARAMETERS: dict[str, tuple[Any, ...]] = {
    "equal": ((0.5, 0), (0.5, 0), (0.5, 0), "int8"),
    "ties": ((1.0, 3), (0.5, -7), (2.0, 1), "int8"),
    "no exact anything": ((0.0173, -11), (0.0391, 45), (0.0502, -128), "int8"),
    "unsigned": ((0.071, 128), (0.0033, 255), (0.0715, 100), "uint8"),
    "a drowns b": ((1.0, 0), (2.0**-12, 0), (1.0, 0), "int8"),
    "coarse output": ((0.01, 0), (0.02, 5), (3.7, -1), "int8"),
}


def mbqm(x: int, m: int, shift: int) -> int:
    """gemmlowp, as written there, in Python integers."""
    product = (x << max(shift, 0)) * m
    nudged = product + (2**30 if product >= 0 else 1 - 2**30)
    high = abs(nudged) // 2**31 * (1 if nudged >= 0 else -1)
    right = max(-shift, 0)
    remainder, threshold = high & ((1 << right) - 1), ((1 << right) - 1) >> 1
    return (high >> right) + (remainder > threshold + (high < 0))


def fixed(real: float) -> tuple[int, int]:
    fraction, shift = math.frexp(real)
    m = math.floor(Fraction(fraction) * 2**31 + Fraction(1, 2))
    return (m // 2, shift + 1) if m == 2**31 else (m, shift)


def exact_add(add: str, sa: Any, za: int, sb: Any, zb: int, sy: Any, zy: int) -> Any:
    """Return a function of two codes: the code of their sum before the clamp."""
    if add == "dequantize":

        def dequantized(a: int, b: int) -> int:
            real = F(F(F(a - za) * sa) + F(F(b - zb) * sb))
            return round(float(F(real / sy))) + zy

        return dequantized
    if add == "tflite_shift20":
        twice = 2 * max(float(sa), float(sb))
        ma, mb = fixed(float(sa) / twice), fixed(float(sb) / twice)
        mo = fixed(twice / (2**20 * float(sy)))

        def tflite(a: int, b: int) -> int:
            total = mbqm((a - za) * 2**20, *ma) + mbqm((b - zb) * 2**20, *mb)
            return mbqm(total, *mo) + zy

        return tflite
    ra, rb = Fraction(float(F(sa / sy))), Fraction(float(F(sb / sy)))
    exponent = 0
    while 2**exponent * Fraction(1) > max(ra, rb):
        exponent -= 1
    while Fraction(2) ** (exponent + 1) <= max(ra, rb):
        exponent += 1
    while Fraction(2) ** exponent > max(ra, rb):
        exponent -= 1
    shift = 20 - exponent
    na, nb = round(ra * 2**shift), round(rb * 2**shift)  # half to even

    def xnnpack(a: int, b: int) -> int:
        start = (1 << (shift - 1)) - na * za - nb * zb
        total = start + na * a + nb * b
        assert -(2**31) <= total < 2**31, "int32 must hold the sum"
        return int(total >> shift) + zy

    return xnnpack


@pytest.mark.parametrize("name", PARAMETERS)
@pytest.mark.parametrize("add", ["dequantize", "tflite_shift20", "xnnpack_shift20"])
def test_add_over_every_pair_of_codes(add: str, name: str) -> None:
    (sa, za), (sb, zb), (sy, zy), dtype = PARAMETERS[name]
    a, b = every_code(dtype)[:, None], every_code(dtype)[None]
    got = add_quantized(
        a,
        b,
        a_qparams=qparams(sa, za, dtype),
        b_qparams=qparams(sb, zb, dtype),
        y_qparams=qparams(sy, zy, dtype),
        contract=contract(add),
    )
    exact = exact_add(add, F(sa), za, F(sb), zb, F(sy), zy)
    qmin, qmax = int(a[0, 0]), int(a[-1, 0])
    # The oracle in pure Python takes microseconds a pair: every pair of every fifth row.
    rows = range(0, 256) if name == "ties" else range(0, 256, 5)
    for i in rows:
        expected = [min(max(exact(qmin + i, qmin + j), qmin), qmax) for j in range(256)]
        assert got[i].tolist() == expected, f"{add}, {name}: row a = {qmin + i} differs"
    assert got.dtype == np.dtype(dtype), "codes of y"


@pytest.mark.parametrize("add", ["dequantize", "tflite_shift20", "xnnpack_shift20"])
def test_add_is_commutative_broadcasts_and_clamps(add: str) -> None:
    a = np.array([[-128], [0], [127]], np.int8)
    b = np.array([-100, 5, 100], np.int8)
    qa, qb, qy = qparams(0.3, 4, "int8"), qparams(0.7, -9, "int8"), qparams(0.9, 2, "int8")
    rules: dict[str, Any] = {"y_qparams": qy, "contract": contract(add)}
    ab = add_quantized(a, b, a_qparams=qa, b_qparams=qb, **rules)
    ba = add_quantized(b, a, a_qparams=qb, b_qparams=qa, **rules)
    assert ab.shape == (3, 3), "numpy broadcasting"
    assert np.array_equal(ab, ba), "a + b = b + a"
    relu = add_quantized(a, b, a_qparams=qa, b_qparams=qb, clamp_min=2, clamp_max=50, **rules)
    assert np.array_equal(relu, np.clip(ab, 2, 50)), "clamp_min and clamp_max are codes of y"


def test_xnnpack_refuses_scales_too_far_apart() -> None:
    one = qparams(1.0, 0, "int8")
    zero = np.zeros(1, np.int8)
    for exponent, works in [(-19, True), (-20, False), (10, True), (11, False)]:
        arguments: dict[str, Any] = {
            "a_qparams": one,
            "b_qparams": one,
            "y_qparams": qparams(2.0**exponent, 0, "int8"),
            "contract": contract("xnnpack_shift20"),
        }
        if works:
            assert add_quantized(zero, zero, **arguments).tolist() == [0], "shift in 1..30"
        else:
            with pytest.raises(ValueError, match="Add: xnnpack_shift20 needs max"):
                add_quantized(zero, zero, **arguments)


@pytest.mark.parametrize("mode", ["float_rne", "gemmlowp_double"])
@pytest.mark.parametrize("name", PARAMETERS)
def test_mul_over_every_pair_of_codes(mode: str, name: str) -> None:
    (sa, za), (sb, zb), (sy, zy), dtype = PARAMETERS[name]
    a, b = every_code(dtype)[:, None], every_code(dtype)[None]
    got = mul_quantized(
        a,
        b,
        a_qparams=qparams(sa, za, dtype),
        b_qparams=qparams(sb, zb, dtype),
        y_qparams=qparams(sy, zy, dtype),
        contract=contract("dequantize", mode),
    )
    qmin, qmax = int(a[0, 0]), int(a[-1, 0])
    single = F(F(F(sa) * F(sb)) / F(sy))
    double = fixed(float(F(sa)) * float(F(sb)) / float(F(sy)))
    for i in range(0, 256, 5):
        for j in range(256):
            acc = (qmin + i - za) * (qmin + j - zb)
            code = round(float(F(F(acc) * single))) if mode == "float_rne" else mbqm(acc, *double)
            expected = min(max(code + zy, qmin), qmax)
            assert int(got[i, j]) == expected, f"{mode}, {name}: codes {qmin + i}, {qmin + j}"


# --- float32 -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("function", "op"),
    [
        (add_f32, lambda a, b: a + b),
        (sub_f32, lambda a, b: a - b),
        (mul_f32, lambda a, b: a * b),
        (div_f32, lambda a, b: a / b),
    ],
)
def test_float_arithmetic_is_one_rounding(function: Any, op: Any) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.normal(size=(4, 1)).astype(F), rng.normal(size=3).astype(F)
    y = function(a, b)
    for i, j in np.ndindex(4, 3):
        # float64 holds sums, products and quotients of float32 well enough to round only once
        # more: exact for + - *, and double rounding is harmless for / (Figueroa, 2p + 2 <= 53).
        expected = F(op(float(a[i, 0]), float(b[j])))
        assert y[i, j] == expected, f"element {(i, j)}"
    assert y.dtype == np.float32, "float32 in, float32 out"


def test_float_arithmetic_passes_infinities_and_nan() -> None:
    a, b = np.array([np.inf, 1.0, 0.0], F), np.array([np.inf, 0.0, 0.0], F)
    assert np.isnan(sub_f32(a, b)[0]), "inf - inf"
    assert div_f32(a, b)[1] == np.inf, "1 / 0"
    assert np.isnan(div_f32(a, b)[2]), "0 / 0"


def test_wrong_operands_are_refused_by_name() -> None:
    a, b = np.zeros(2, F), np.zeros(3, F)
    with pytest.raises(ValueError, match=r"Sub: shapes must broadcast, got \(2,\) and \(3,\)"):
        sub_f32(a, b)
    with pytest.raises(ValueError, match="Mul: b must be float32, got int8"):
        mul_f32(a, a.astype(np.int8))
    rows = QParams(np.ones((2, 1), F), np.zeros((2, 1), np.int32), (1, 3), "int8")
    one = qparams(1, 0, "int8")
    with pytest.raises(ValueError, match="Add: b must be quantized per tensor"):
        add_quantized(
            np.zeros((2, 3), np.int8),
            np.zeros((2, 3), np.int8),
            a_qparams=one,
            b_qparams=rows,
            y_qparams=one,
            contract=preset("onnx"),
        )


def test_ratios_of_scales_decide_ties_that_the_sum_of_reals_does_not() -> None:
    """Found in PP-OCR's hard-swish, x + 3 at x = 0: 127.5 steps, but for what the ratio rounds."""
    a_qparams = QParams(np.float32(0.25192368030548096), np.int32(133), None, "uint8")
    b_qparams = QParams(np.float32(0.0117647061124444), np.int32(0), None, "uint8")
    y_qparams = QParams(np.float32(0.0235294122248888), np.int32(0), None, "uint8")
    a, b = np.array([133], np.uint8), np.array([255], np.uint8)
    result = {
        add: add_quantized(
            a,
            b,
            a_qparams=a_qparams,
            b_qparams=b_qparams,
            y_qparams=y_qparams,
            contract=replace(preset("ort"), add=add),
        ).tolist()
        for add in ("dequantize", "scale_ratios")
    }
    assert result == {"dequantize": [128], "scale_ratios": [127]}, f"{result}"


@pytest.mark.parametrize("seed", range(20))
def test_ratios_of_scales_by_fractions(seed: int) -> None:
    """Each line of the text with Python's fractions, rounded to float32 once."""

    def f32(x: Fraction) -> Fraction:
        return Fraction(float(np.float32(float(x))))  # exact sums here have fewer than 53 bits

    rng = np.random.default_rng(seed)
    sa, sb, sy = (np.float32(2.0 ** rng.integers(-3, 3) * rng.choice([1, 3, 5])) for _ in range(3))
    za, zb, zy = (int(z) for z in rng.integers(0, 256, 3))
    a, b = (rng.integers(0, 256, 50).astype(np.uint8) for _ in range(2))
    ours = add_quantized(
        a,
        b,
        a_qparams=QParams(sa, np.int32(za), None, "uint8"),
        b_qparams=QParams(sb, np.int32(zb), None, "uint8"),
        y_qparams=QParams(sy, np.int32(zy), None, "uint8"),
        contract=replace(preset("ort"), add="scale_ratios"),
    )
    ra, rb = (f32(Fraction(float(scale)) / Fraction(float(sy))) for scale in (sa, sb))
    fixed = f32(zy - f32(ra * za + f32(rb * zb)))
    for qa, qb, got in zip(a.tolist(), b.tolist(), ours.tolist(), strict=True):
        total = f32(ra * qa + f32(rb * qb + fixed))
        assert got == min(max(round(total), 0), 255), f"{qa} + {qb}"
