"""FakeQuantize beside section 8 of the specification in exact fractions, and at its edges."""

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import ml_dtypes
import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats import llm_int8
from refquant.ops.fake_quantize import fake_quantize, static_scale
from refquant.ops.fake_quantize_rules import FORMATS, FP8, INTEGERS, is_blocked
from refquant_conformance.rational import divide, float32, multiply, round_exact
from tests.refquant.formats.block_oracles import (
    ELEMENTS,
    blocks,
    exponent,
    magnitudes,
    nearest,
)

Array = np.ndarray[Any, Any]
Rounded = Callable[[Sequence[float]], list[float]]
F = np.float32
ORT, BNB = preset("ort"), preset("bitsandbytes")
TINY = 2.0**-126
TOP = {"fp8_e4m3": 448.0, "fp8_e5m2": 57344.0}


def real(v: float, s: float, element: str) -> float:
    """``v`` is the quotient: its number, times s."""
    if np.isnan(v) or np.isnan(s):
        return float("nan")
    top = len(magnitudes(element)) - 1
    code = top if np.isinf(v) else nearest(Fraction(v), element)
    return float(np.copysign(multiply(float(magnitudes(element)[code]), s), v))


def integer_row(bits: int, contract: str) -> Rounded:
    """Symmetric codes of ort (x / s) and bitsandbytes (x * I), both narrow."""
    top = 2 ** (bits - 1) - 1

    def row(x: Sequence[float]) -> list[float]:
        a = max(map(abs, x))
        s = float32(Fraction(a) / top)
        s, small = (1.0, True) if s < TINY else (s, False)
        inverse = divide(1.0, s) if small else multiply(float(top), divide(1.0, a))
        found = []
        for v in x:
            q = divide(v, s) if contract == "ort" else multiply(v, inverse)
            code = min(max(round_exact(Fraction(q), "half_even"), -top), top)
            found.append(multiply(float(code), s))
        return found

    return row


def fp8_row(format: str) -> Rounded:
    def row(x: Sequence[float]) -> list[float]:
        s = divide(max(map(abs, x)), TOP[format]) or 1.0
        return [real(divide(v, s), s, FP8[format]) for v in x]

    return row


def mx_row(format: str) -> Rounded:
    element = ELEMENTS[format]

    def block(x: Sequence[float]) -> list[float]:
        a = Fraction(max(map(abs, x)))
        k = -127 if a == 0 else min(max(exponent(a, "floor", element), -127), 127)
        if element == "int8":
            s = Fraction(2) ** k
            codes = [round_exact(Fraction(divide(v, float(s))) * 64, "half_even") for v in x]
            return [float32(Fraction(min(max(c, -127), 127), 64) * s) for c in codes]
        return [real(divide(v, 2.0**k), 2.0**k, element) for v in x]

    return lambda x: [y for i in range(0, len(x), 32) for y in block(x[i : i + 32])]


def nvfp4_row(g: float) -> Rounded:
    def block(x: Sequence[float]) -> list[float]:
        wanted = divide(max(map(abs, x)), multiply(6.0, g))
        wanted = 1.0 if wanted == 0 else max(wanted, 2.0**-9)
        s = multiply(float(magnitudes("ue4m3")[nearest(Fraction(wanted), "ue4m3")]), g)
        return [real(divide(v, s) + 0.0, s, "e2m1") for v in x]  # + 0.0: a quotient -0 is +0

    return lambda x: [y for i in range(0, len(x), 16) for y in block(x[i : i + 16])]


def oracle_of(format: str, x: Array, contract: str) -> Rounded:
    if format in INTEGERS:
        return integer_row(int(format[3:]), contract)
    if format in FP8:
        return fp8_row(format)
    if format == "nvfp4":
        g = divide(float(np.abs(x).max(initial=0)), 2688.0)
        return nvfp4_row(g if g >= TINY else 1.0)
    return mx_row(format)


DATA = blocks(40, seed=5, count=14)
DATA = DATA[np.abs(DATA).max(axis=1) < 2.0**125]  # the rest: test_the_ends_of_float32


def same(got: Array, want: Array, what: str) -> None:
    assert got.dtype == np.float32, f"{what}: {got.dtype}"
    assert got.shape == want.shape, f"{what}: {got.shape}"
    lost = np.isnan(want)
    assert np.array_equal(np.isnan(got), lost), f"{what}: NaN at {np.isnan(got)} for {lost}"
    bits = got[~lost].view(np.uint32) == want[~lost].view(np.uint32)
    assert bits.all(), f"{what}: {got[~lost][~bits][:4]} for {want[~lost][~bits][:4]}"


@pytest.mark.parametrize("contract", ["ort", "bitsandbytes"])
@pytest.mark.parametrize("format", FORMATS)
def test_each_row_or_block_is_what_the_text_says(format: str, contract: str) -> None:
    if contract != "ort" and format not in INTEGERS:
        return
    own = preset(contract) if format in INTEGERS else None
    row = oracle_of(format, DATA, contract)
    want = np.array([row(x.tolist()) for x in DATA], F)
    if format in INTEGERS:
        want += F(0)  # integers have no -0
    granularity = "block" if is_blocked(format) else "token"
    for x, expected, axis in (
        (DATA, want, -1),
        (np.ascontiguousarray(DATA.T), np.ascontiguousarray(want.T), 0),
        (np.ascontiguousarray(DATA.T)[None], np.ascontiguousarray(want.T)[None], 1),
    ):
        got = fake_quantize(x, format=format, granularity=granularity, axis=axis, contract=own)
        same(got, expected, f"{format}, axis {axis}")


@pytest.mark.parametrize("format", [*INTEGERS, *FP8])
def test_a_tensor_has_one_scale(format: str) -> None:
    own = ORT if format in INTEGERS else None
    for start in range(0, len(DATA), 3):
        x = DATA[start : start + 3]
        want = np.array(oracle_of(format, x, "ort")(x.ravel().tolist()), F).reshape(x.shape)
        want = want + F(0) if own else want
        got = fake_quantize(x, format=format, granularity="tensor", contract=own)
        same(got, want, f"{format} {start}")


def test_static_scales_saturate() -> None:
    x = np.array([[3.0, -1000.0, 0.26], [np.inf, -np.inf, -0.0]], F)
    half = np.array(0.5, F)
    got = fake_quantize(x, half, format="int8", granularity="tensor", contract=ORT)
    same(got, np.array([[3, -63.5, 0.5], [63.5, -63.5, 0]], F), "int8, narrow: 127 / 2")
    got = fake_quantize(x, half, format="fp8_e4m3", granularity="tensor")
    same(got, np.array([[3, -224, 0.25], [224, -224, -0.0]], F), "E4M3: 448 / 2; 0.52 is 0.5")
    lone = np.array([np.nan, 1.0], F)
    got = fake_quantize(lone, half, format="fp8_e5m2", granularity="tensor")
    same(got, np.array([np.nan, 1], F), "NaN stays, alone")
    got = fake_quantize(lone, half, format="int8", granularity="tensor", contract=ORT)
    same(got, np.array([-63.5, 1], F), "ort: NaN is qmin")
    with pytest.raises(ValueError, match="must not hold NaN"):
        fake_quantize(lone, half, format="int8", granularity="tensor", contract=preset("gptq"))
    x = np.zeros((1, 20), F)
    x[0, :3] = 12.0, 1.0, -4.9
    got = fake_quantize(x, half, format="nvfp4", granularity="block")
    want = np.array(nvfp4_row(0.5)(x[0].tolist()), F)[None]
    same(got, want, "g is given")


def test_ties_go_to_even() -> None:
    x = np.array([[127, 0.5, 1.5, 2.5, -0.5, -3.5]], F)
    got = fake_quantize(x, format="int8", granularity="token", contract=ORT)
    same(got, np.array([[127, 0, 2, 2, 0, -4]], F), "int8, s = 1")
    x = np.array([[448, 17, 19, 2.0**-10, 3 * 2.0**-10, -17]], F)
    got = fake_quantize(x, format="fp8_e4m3", granularity="token")
    same(got, np.array([[448, 16, 20, 0, 2.0**-8, -16]], F), "E4M3, s = 1: steps of 2 and 2^-9")
    x = np.zeros((1, 32), F)
    x[0, :7] = 4.0, 0.25, 0.75, 1.25, 2.5, 3.5, -5.0
    want = np.zeros((1, 32), F)
    want[0, :7] = 4.0, 0.0, 1.0, 1.0, 2.0, 4.0, -4.0
    same(fake_quantize(x, format="mxfp4", granularity="block"), want, "E2M1, s = 1")


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_has_no_scale_is_nan_as_far_as_the_scale_reaches(format: str, bad: float) -> None:
    own = ORT if format in INTEGERS else None
    x = np.ones((3, 80), F)
    clean = x.copy()
    x[1, 37] = bad
    granularity = "block" if is_blocked(format) else "token"
    got = fake_quantize(x, format=format, granularity=granularity, contract=own)
    want = fake_quantize(clean, format=format, granularity=granularity, contract=own)
    size = {"token": 80, "block": 16 if format == "nvfp4" else 32}[granularity]
    if format == "nvfp4":
        assert np.isnan(got).all(), "without a scale, g is everybody's"
        one = np.array(1 / 448, F)
        got = fake_quantize(x, one, format=format, granularity=granularity)
        want = fake_quantize(clean, one, format=format, granularity=granularity)
    want[1, 37 // size * size : (37 // size + 1) * size] = np.nan
    same(got, want, f"{format}, {bad}")
    if granularity == "token":
        got = fake_quantize(x, format=format, granularity="tensor", contract=own)
        assert np.isnan(got).all(), "one scale for all: none for all"


@pytest.mark.parametrize("format", FORMATS)
def test_zeros_one_element_and_nothing(format: str) -> None:
    own = ORT if format in INTEGERS else None
    granularity = "block" if is_blocked(format) else "token"
    how: dict[str, Any] = {"format": format, "granularity": granularity, "contract": own}
    for shape in ((0,), (0, 4), (4, 0), (2, 0, 3)):
        got = fake_quantize(np.zeros(shape, F), **how)
        assert got.shape == shape, f"empty {shape}"
    same(fake_quantize(np.zeros((2, 33), F), **how), np.zeros((2, 33), F), "zeros")
    # One element is its own absmax, which integers and FP8 give back but for a unit in the last
    # place (q s = M f32(a / M)), and small floats to half a step of theirs, 2^-(m+1), or clip to M.
    one = fake_quantize(np.array([0.75], F), **how)
    assert 0.7 <= float(one[0]) <= 0.7500001, f"one element: {one}"
    if granularity == "token":
        scalar = fake_quantize(np.array(0.75, F), **{**how, "granularity": "tensor"})
        assert (scalar.shape, float(scalar)) == ((), float(one[0])), "no axes"


@pytest.mark.parametrize("format", FORMATS)
def test_the_ends_of_float32(format: str) -> None:
    """Denormals become zeros or their own size; the largest numbers stay finite or saturate up."""
    own = ORT if format in INTEGERS else None
    granularity = "block" if is_blocked(format) else "token"
    for size in (2.0**-149, 2.0**-140, 2.0**-127, 2.0**-126, 3.4e38):
        x = (np.array([[1, -1, 0.5, 0.0]]) * size).astype(F)
        row = oracle_of(format, x, "ort")
        want = np.array([row(x[0].tolist())], F)
        got = fake_quantize(x, format=format, granularity=granularity, contract=own)
        same(got, want + F(0) if own else want, f"{format}, {size}")


def test_clip_ratio_shrinks_the_largest() -> None:
    x = np.array([[10.0, -1.0, 4.51]], F)
    s = divide(multiply(10.0, float32(Fraction(0.9))), 7.0)
    got = fake_quantize(x, format="int4", granularity="token", clip_ratio=0.9, contract=ORT)
    same(got, np.array([[multiply(7.0, s), multiply(-1.0, s), multiply(4.0, s)]], F), "QuaRot's")
    got = fake_quantize(x, format="fp8_e4m3", granularity="token", clip_ratio=0.5)
    assert float(got[0, 0]) == multiply(448.0, divide(5.0, 448.0)), "beyond M it is M"


def test_columns_of_outliers_pass_and_the_rest_has_bitsandbytes_codes() -> None:
    rng = np.random.default_rng(3)
    x = rng.standard_normal((2, 7, 48)).astype(F)
    x[0, 3, 5], x[1, 0, 20], x[1, 1, 20] = 6.0, -31.0, 5.5  # the largest of its row counts
    got = fake_quantize(x, format="int8", granularity="token", threshold=6.0, contract=BNB)
    rows = x.reshape(-1, 48)
    theirs = llm_int8.quantize(rows, threshold=6.0, flavour="bnb_cuda")
    assert theirs.outlier_columns.tolist() == [5, 20], "the columns"
    flat = got.reshape(-1, 48)
    assert np.array_equal(flat[:, [5, 20]], rows[:, [5, 20]]), "outlier columns pass as they are"
    kept = np.setdiff1d(np.arange(48), [5, 20])
    steps = (theirs.absmax / F(127))[:, None]
    off = np.rint(flat / steps)[:, kept] - theirs.codes[:, kept]
    # bnb_cuda: 127 / a is one quotient, of_range: 127 * (1 / a). They part at ties, if at all.
    assert np.count_nonzero(off) == 0, f"{np.count_nonzero(off)} codes differ"
    x[0, 0, 0] = np.inf
    got = fake_quantize(x, format="int8", granularity="token", threshold=6.0, contract=BNB)
    assert np.isinf(got[0, 0, 0]), "an infinity is an outlier"
    assert np.isfinite(got.ravel()[1:]).all(), "and harms nobody"
    x[0, 0, 0] = np.nan
    got = fake_quantize(x, format="int8", granularity="token", threshold=6.0, contract=BNB)
    lost = np.isnan(got[0, 0])
    assert lost.sum() == 46, "NaN is none: its row is lost but for the columns that pass"


def test_ml_dtypes_casts_agree() -> None:
    """The outsider for the casts: f32 / s, cast, times s."""
    kinds = {"fp8_e4m3": ml_dtypes.float8_e4m3fn, "fp8_e5m2": ml_dtypes.float8_e5m2}
    for format, kind in kinds.items():
        a = np.abs(DATA).max(axis=1, keepdims=True)
        s = np.where(a / F(TOP[format]) == 0, F(1), a / F(TOP[format]))
        v = np.clip(DATA / s, -F(TOP[format]), F(TOP[format]))
        with np.errstate(under="ignore"):
            want = v.astype(kind).astype(F) * s
        same(fake_quantize(DATA, format=format, granularity="token"), want, format)


def test_static_scales() -> None:
    assert float(static_scale(F(57344 * 3), format="fp8_e5m2")) == 3, "amax / M"
    assert float(static_scale(F(2688 / 4), format="nvfp4")) == 0.25, "amax / (448 * 6)"
    for zero in (0.0, 1e-45, 1e-37):
        assert float(static_scale(F(zero), format="fp8_e4m3")) == 1, "no normal number: 1"
        assert float(static_scale(F(zero), format="nvfp4")) == 1, "no normal number: 1"


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"format": "fp6"}, "format: one of int8, int4, fp8_e4m3"),
    ({"granularity": "row"}, "granularity: int8 has 'tensor' or 'token', got 'row'"),
    ({"format": "mxfp8_e4m3", "contract": None}, "granularity: mxfp8_e4m3 has 'block'"),
    ({"axis": 2}, r"axis: in \[-2, 1\], got 2"),
    ({"clip_ratio": 0.0}, "clip_ratio: a number above 0"),
    ({"clip_ratio": float("nan")}, "clip_ratio: a number above 0"),
    ({"clip_ratio": 1.5}, "clip_ratio: a number above 0 and at most 1, got 1.5"),
    ({"format": "nvfp4", "granularity": "block", "clip_ratio": 0.5}, "clipping is for int and fp8"),
    ({"scale": np.array(1, F), "granularity": "tensor", "clip_ratio": 0.5}, "observer's business"),
    ({"scale": np.array(1, F)}, "a static scale is one number"),
    ({"scale": np.array([1], F), "granularity": "tensor"}, r"scale: float32 of shape \(\)"),
    ({"scale": np.array(0, F), "granularity": "tensor"}, r"scale: float32 of shape \(\)"),
    ({"scale": np.array(np.inf, F), "granularity": "tensor"}, r"scale: float32 of shape \(\)"),
    ({"threshold": 0.0}, "threshold: a positive number, got 0.0"),
    ({"threshold": float("inf")}, "threshold: a positive number"),
    ({"threshold": 6.0, "granularity": "tensor"}, "threshold: only with granularity 'token'"),
    ({"contract": None}, "contract: int8 needs one"),
    ({"format": "fp8_e4m3"}, "contract: fp8_e4m3 has none"),
    ({"contract": preset("hqq")}, "symmetric must be False"),
]


@pytest.mark.parametrize(("change", "message"), REFUSED)
def test_settings_that_mean_nothing_are_refused(change: dict[str, Any], message: str) -> None:
    options = {"format": "int8", "granularity": "token", "contract": ORT, **change}
    scale = options.pop("scale", None)
    with pytest.raises(ValueError, match=message):
        fake_quantize(np.ones((2, 3), F), scale, **options)


def test_only_float32() -> None:
    with pytest.raises(ValueError, match="float32"):
        fake_quantize(np.ones(3), format="fp8_e4m3", granularity="tensor")  # type: ignore[arg-type]
