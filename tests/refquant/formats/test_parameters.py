"""How a range becomes parameters: the axes that runtimes do not have, by fractions."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import PRESETS, Contract, preset
from refquant.formats.affine import QParams, dequantize, fake_quantize, quantize
from refquant.formats.parameters import choose_qparams, refusal
from refquant_conformance.oracle import float32, float64, round_exact

ONNX = preset("onnx")
ends = st.floats(-1000, 1000, width=32).map(lambda v: v if abs(v) > 1e-3 else 0.0)
ranges = st.tuples(ends, ends).map(lambda p: (min(p), max(p))).filter(lambda p: p[0] < p[1])


def choose(lo: float, hi: float, dtype: str, contract: Contract, *, symmetric: bool) -> QParams:
    return choose_qparams(
        np.float32(lo), np.float32(hi), dtype=dtype, symmetric=symmetric, contract=contract
    )


# ---- zero points ------------------------------------------------------------------------------


@given(bounds=ranges, dtype=st.sampled_from(["int8", "uint8", "uint4"]))
def test_the_zero_point_by_each_rule_in_float64(bounds: tuple[float, float], dtype: str) -> None:
    """All combinations of from and rounding, with the scale as computed and as stored."""
    lo, hi = min(bounds[0], 0.0), max(bounds[1], 0.0)
    for start in ("qmin", "qmin_after_rounding", "nearer_end"):
        for rule in ("half_even", "half_away"):
            for held in ("parameter_dtype", "float64_of_stored_scale"):
                contract = replace(
                    ONNX, parameter_dtype="float64", zero_point_from=start,
                    zero_point_rounding=rule, zero_point_dtype=held,
                )  # fmt: skip
                p = choose(lo, hi, dtype, contract, symmetric=False)
                qmin, qmax = p.code_range
                s = float64(Fraction(float64(Fraction(hi) - Fraction(lo))) / (qmax - qmin))
                if held != "parameter_dtype":
                    s = float32(Fraction(s))
                by_lo = float64(Fraction(lo) / Fraction(s))
                by_hi = float64(Fraction(hi) / Fraction(s))
                first = float64(qmin - Fraction(by_lo))
                if start == "qmin_after_rounding":
                    exact = qmin - round_exact(Fraction(by_lo), rule)
                elif start == "qmin" or float64(abs(qmin) + abs(Fraction(by_lo))) < float64(
                    abs(qmax) + abs(Fraction(by_hi))
                ):
                    exact = round_exact(Fraction(first), rule)
                else:
                    exact = round_exact(Fraction(float64(qmax - Fraction(by_hi))), rule)
                said = f"{start}, {rule}, {held}: [{lo}, {hi}]"
                assert p.zero_point == min(max(exact, qmin), qmax), said


def test_a_range_around_zero_has_two_middles() -> None:
    """[-1, 1] in int8: -0.5, a tie. In float64 TFLite rounds it away, onnxruntime to even; float32
    scales are not 2/255, and miss the tie."""
    got = {
        name: int(choose(-1, 1, "int8", preset(name), symmetric=False).zero_point)
        for name in ("onnx", "ort", "tflite_reference", "xnnpack", "torch", "fbgemm", "aimet")
    }
    assert got == {
        "onnx": -1, "ort": 0, "tflite_reference": -1, "xnnpack": -1, "torch": -1, "fbgemm": 0,
        "aimet": 0,
    }, "the same range"  # fmt: skip


@given(bounds=ranges, dtype=st.sampled_from(["uint2", "uint4", "uint8"]))
def test_a_float_zero_point_is_not_rounded(bounds: tuple[float, float], dtype: str) -> None:
    """HQQ: I = f32(n f32(1 / w)), z = f32(-lo I), s = f32(1 / I)."""
    lo, hi = bounds
    p = choose(lo, hi, dtype, preset("hqq"), symmetric=False)
    width = float32(Fraction(hi) - Fraction(lo))
    inverse = float32(p.code_range[1] * Fraction(float32(1 / Fraction(width))))
    if width <= float(np.float32(1e-4)):
        inverse = 1.0
    inverse = min(inverse, 2e4)
    assert p.kind == "float", "in codes"
    assert p.inverse is not None, "it keeps the inverse"
    assert float(p.inverse) == inverse, "the inverse"
    assert float(p.zero_point) == float32(-Fraction(lo) * Fraction(inverse)), "the zero point"
    assert float(p.scale) == float32(1 / Fraction(inverse)), "the scale"


@given(bounds=ranges, dtype=st.sampled_from(["uint2", "uint4", "uint8"]))
def test_the_snapped_edge_is_exact_and_zero_is_a_mark(
    bounds: tuple[float, float], dtype: str
) -> None:
    """MLX: eq. (3). Zero is a mark where the range reaches it; the edge has the code 0, always."""
    lo, hi = bounds
    p = choose(lo, hi, dtype, preset("mlx"), symmetric=False)
    edge = lo if abs(lo) > abs(hi) else hi
    assert float(p.zero_point) == edge, "the edge is the offset"
    assert (p.scale > 0) == (abs(lo) > abs(hi)), "the scale points from the edge inwards"
    codes = quantize(np.array([edge], np.float32), p, contract=preset("mlx"))
    assert codes.tolist() == [0], "the code of the edge"
    n = p.code_range[1]
    first = max(float32(Fraction(float32(Fraction(hi) - Fraction(lo))) / n), 1e-7)
    k = round_exact(Fraction(float32(Fraction(edge) / Fraction(first))), "half_even")
    expected = float32(Fraction(abs(edge)) / abs(k)) if k else first
    assert abs(float(p.scale)) == expected, "bent until k marks reach zero"


def test_of_two_equal_edges_the_upper_one_counts() -> None:
    p = choose(-1.0, 1.0, "uint4", preset("mlx"), symmetric=False)
    assert float(p.zero_point) == 1.0, "measured with mlx 0.32.4"
    assert float(p.scale) == float(np.float32(-1 / 7)), "f32(2/15) is above 2/15, so k is 7, not 8"


def test_an_offset_is_what_the_code_0_means() -> None:
    """quanto: (x - lo) / s; every value of the range comes back to half a mark."""
    p = choose(2.0, 5.0, "uint4", preset("quanto"), symmetric=False)
    assert (float(p.scale), float(p.zero_point), p.kind) == (float(np.float32(0.2)), 2.0, "offset")
    x = np.array([2.0, 2.1, 3.5, 5.0, 99.0, -99.0], np.float32)
    assert quantize(x, p, contract=preset("quanto")).tolist() == [0, 0, 8, 15, 15, 0], "by hand"
    back = fake_quantize(x[:1], p, contract=preset("quanto"))
    assert back.tolist() == [2.0], "the end is exact"


# ---- scales -----------------------------------------------------------------------------------


@given(amax=st.floats(2.0**-20, 2.0**100, width=32))
def test_inverses_by_fractions(amax: float) -> None:
    """int8, 127: where the factor comes from, and what is stored."""
    whole = Fraction(127)
    cases: dict[str, tuple[float, float]] = {
        "of_range": (
            float32(Fraction(amax) / whole), float32(whole * Fraction(float32(1 / Fraction(amax)))),
        ),
        "stored": (0.0, float32(whole / Fraction(amax))),
        "stored_by_reciprocal": (0.0, float32(whole * Fraction(float32(1 / Fraction(amax))))),
    }  # fmt: skip
    for kind, (scale, inverse) in cases.items():
        contract = replace(ONNX, scale_op="reciprocal_f32", inverse=kind)
        p = choose(-amax, amax / 2, "int8", contract, symmetric=True)
        assert p.inverse is not None, "a factor of its own"
        assert float(p.inverse) == inverse, kind
        assert float(p.scale) == (scale or float32(1 / Fraction(inverse))), kind


@given(amax=st.floats(2.0**-10, 60000, width=32))
def test_a_float16_scale_is_not_the_one_that_made_the_codes(amax: float) -> None:
    """ggml Q8_0: codes by 1/d, d stored as float16."""
    p = choose(-amax, 0, "int8", preset("ggml"), symmetric=True)
    d = float32(Fraction(amax) / 127)
    assert p.inverse is not None, "1/d"
    assert float(p.inverse) == float32(1 / Fraction(d)), "of the unrounded d"
    assert p.scale == np.float32(np.float16(np.float32(d))), "the stored d"


def test_gptq_halves_the_scale_of_rows_without_negatives() -> None:
    """xmin is mirrored only where it is negative, the zero point is the middle all the same."""
    p = choose(0.0, 15.0, "uint4", preset("gptq"), symmetric=True)
    assert (float(p.scale), int(p.zero_point)) == (1.0, 8), "15 / 15, not 15 / 7.5"
    x = np.array([15.0, 7.0, 3.0], np.float32)
    assert fake_quantize(x, p, contract=preset("gptq")).tolist() == [7, 7, 3], "so it clips"
    both = choose(-1.0, 15.0, "uint4", preset("gptq"), symmetric=True)
    assert float(both.scale) == 2.0, "one negative value, and the scale is doubled"


# ---- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize("name", PRESETS)
def test_refusal_is_what_choose_qparams_raises(name: str) -> None:
    contract = preset(name)
    for dtype in ("int8", "uint8"):
        for symmetric in (False, True):
            reason = refusal(dtype=dtype, symmetric=symmetric, contract=contract)
            if reason is None:
                assert choose(-1, 2, dtype, contract, symmetric=symmetric).dtype == dtype, "chosen"
            else:
                with pytest.raises(ValueError, match="must be") as caught:
                    choose(-1, 2, dtype, contract, symmetric=symmetric)
                assert str(caught.value) == reason, "the same words"
    somewhere = any(
        refusal(dtype=d, symmetric=s, contract=contract) is None
        for d in ("int8", "uint8")
        for s in (False, True)
    )
    assert somewhere, "every preset chooses something"


def test_signed_scales_need_a_code_below_zero() -> None:
    signed = replace(
        preset("onnx"), name="ggml_like", symmetric_scale="signed_amax_over_qmin",
        negative_scale=True, zero_point="none",
    )  # fmt: skip
    assert float(choose(-1, 2, "int4", signed, symmetric=True).scale) == -0.25, "2 / -8"
    with pytest.raises(ValueError, match="dtype must be signed: contract 'ggml_like'"):
        choose(-1, 2, "uint4", signed, symmetric=True)
    middle = replace(signed, zero_point="integer")
    assert float(choose(-1, 2, "uint4", middle, symmetric=True).scale) == -0.25, "2 / (0 - 8)"


@pytest.mark.parametrize(
    ("bounds", "amax"),
    [((4e-6, 6e-6), 1e-5), ((-6e-6, -4e-6), 6e-6), ((0.0, 0.0), 1e-5), ((-1e-5, 5e-6), 1e-5)],
)
def test_the_floor_of_a_width_is_counted_from_zero(
    bounds: tuple[float, float], amax: float
) -> None:
    """AIMET widens a range to include 0 before its gate: hi = max(hi, lo + 1e-5)."""
    aimet = preset("aimet")
    assert aimet.range_includes_zero, "the case"
    made = choose(*bounds, "int8", aimet, symmetric=True)
    assert float(made.scale) == float(np.float32(float(np.float32(amax)) / 127)), "in float64"
    off = replace(aimet, name="off", range_includes_zero=False)
    wider = float(np.float32(4e-6)) + aimet.zero_range_scale
    made = choose(4e-6, 6e-6, "int8", off, symmetric=True)
    assert float(made.scale) == float(np.float32(wider / 127)), "counted from lo"


def test_what_has_no_such_parameters() -> None:
    cases: list[tuple[str, str, bool, str]] = [
        ("hqq", "uint4", True, "symmetric must be False: contract 'hqq' has symmetric_scale"),
        ("ncnn", "int8", False, "symmetric must be True: contract 'ncnn' has zero_point 'none'"),
        ("mlx", "int4", False, "dtype must be unsigned: contract 'mlx' has zero_point 'offset'"),
    ]
    for name, dtype, symmetric, words in cases:
        with pytest.raises(ValueError, match=words):
            choose(-1, 1, dtype, preset(name), symmetric=symmetric)


KINDS: list[Any] = [("integer", np.int32(3)), ("float", np.float32(3)), ("offset", np.float32(3))]


@pytest.mark.parametrize("name", PRESETS)
def test_a_contract_quantizes_with_its_own_kind_of_zero_and_with_integers(name: str) -> None:
    contract = preset(name)
    for kind, zero in KINDS:
        p = QParams(np.float32(0.5), zero, None, "uint4", kind=kind)
        x = np.array([4.0], np.float32)
        has = kind == "integer" if contract.zero_point == "none" else contract.zero_point
        if kind == "integer" and contract.zero_point == "none":
            with pytest.raises(ValueError, match="zero_point must be 0 in contract"):
                quantize(x, p, contract=contract)
        elif kind in ("integer", has):
            expected = 2 if kind == "offset" else 11
            assert quantize(x, p, contract=contract).tolist() == [expected], f"{kind} in {name}"
        else:
            with pytest.raises(ValueError, match=f"got the kind '{kind}'"):
                quantize(x, p, contract=contract)


@given(q=st.integers(0, 255), scale=st.floats(2.0**-10, 1000, width=32), zero=ends)
def test_reals_of_each_kind_by_fractions(q: int, scale: float, zero: float) -> None:
    """qparams.py eq. (2) and (3): two roundings each, in this order."""
    codes = np.array([q], np.uint8)
    z = np.float32(zero)
    as_float = QParams(np.float32(scale), z, None, "uint8", kind="float")
    difference = Fraction(float32(q - Fraction(zero)))
    expected = float32(difference * Fraction(scale))
    assert dequantize(codes, as_float).tolist() == [expected], "(q - z) s"
    as_offset = QParams(np.float32(scale), z, None, "uint8", kind="offset")
    product = Fraction(float32(q * Fraction(scale)))
    assert dequantize(codes, as_offset).tolist() == [float32(product + Fraction(zero))], "q s + b"
