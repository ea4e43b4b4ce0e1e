"""Pools against a scalar walk over each window."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.pool import (
    average_pool_f32,
    average_pool_quantized,
    global_average_pool_f32,
    global_average_pool_quantized,
    global_max_pool,
    max_pool,
)

RNG = np.random.default_rng(13)
F = np.float32

# name: x shape, kernel, strides, pads
CASES: dict[str, tuple[Any, ...]] = {
    "plain": ((2, 3, 6, 5), (2, 2), (2, 2), (0, 0, 0, 0)),
    "pads": ((1, 2, 5, 5), (3, 2), (2, 1), (2, 1, 1, 0)),
    "overlap": ((1, 1, 4, 4), (3, 3), (1, 1), (1, 1, 1, 1)),
    "1-D": ((2, 2, 7), (3,), (2,), (2, 1)),
}


def qparams(scale: float, zero_point: int, dtype: str = "int8") -> QParams:
    return QParams(F(scale), np.int32(zero_point), None, dtype)


def options(case: tuple[Any, ...]) -> dict[str, Any]:
    return dict(zip(("kernel_shape", "strides", "pads"), case[1:], strict=True))


def walk(x: Any, kernel: Any, strides: Any, pads: Any) -> Any:
    """Yield each output index with the elements its window sees (``None``: padding), in order."""
    spatial, rank = x.shape[2:], x.ndim - 2
    out = [
        (pads[a] + spatial[a] + pads[a + rank] - kernel[a]) // strides[a] + 1 for a in range(rank)
    ]
    for n, c, *position in np.ndindex(*x.shape[:2], *out):
        seen = []
        for tap in np.ndindex(*kernel):
            at = [position[a] * strides[a] + tap[a] - pads[a] for a in range(rank)]
            inside = all(0 <= at[a] < spatial[a] for a in range(rank))
            seen.append(x[(n, c, *at)] if inside else None)
        yield (n, c, *position), seen


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_max_pool_is_the_largest_and_padding_never_wins(name: str, dtype: str) -> None:
    case = CASES[name]
    x = RNG.integers(0, 100, case[0]).astype(dtype)
    if dtype != "uint8":
        x = (x - 120).astype(dtype)  # all negative: a padded 0 would win
    y = max_pool(x, **options(case))
    assert y.dtype == x.dtype, "reals stay reals, codes stay codes"
    for index, seen in walk(x, *case[1:]):
        assert y[index] == max(v for v in seen if v is not None), f"{name}: y{index}"


def test_nan_wins_and_of_equals_the_first() -> None:
    x = np.array([[[np.nan, 1.0, np.inf, np.nan, -0.0, 0.0]]], F)
    y = max_pool(x, kernel_shape=[2], strides=[2])[0, 0]
    assert np.isnan(y[0]), "NaN before"
    assert np.isnan(y[1]), "NaN after infinity"
    assert np.signbit(y[2]), "-0.0 came first and +0.0 is not larger"
    lowest = np.full((1, 1, 2), -np.inf, F)
    assert max_pool(lowest, kernel_shape=[2]).tolist() == [[[-np.inf]]], "-inf is an element"
    assert np.isnan(x[0, 0, 0]), "the input is left alone"


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_float_average_is_the_ordered_sum_over_n(name: str, include: int) -> None:
    case = CASES[name]
    x = (RNG.normal(size=case[0]) * 10.0 ** RNG.integers(-3, 4, case[0])).astype(F)
    y = average_pool_f32(x, count_include_pad=include, **options(case))
    for index, seen in walk(x, *case[1:]):
        total, n = F(0), 0
        for v in seen:
            total = total if v is None else F(total + v)
            n += include if v is None else 1
        assert y[index] == F(total / F(n)), f"{name}: y{index} = f32(sum / f32({n}))"
    assert y.dtype == np.float32, "float32 in, float32 out"


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("name", CASES)
def test_average_by_a_float_multiplier(name: str, include: int) -> None:
    case = CASES[name]
    x = RNG.integers(-128, 128, case[0]).astype(np.int8)
    xq, yq = qparams(0.043, 11), qparams(0.031, -20, "int8")
    y = average_pool_quantized(
        x,
        x_qparams=xq,
        y_qparams=yq,
        contract=preset("onnx"),
        count_include_pad=include,
        **options(case),
    )
    for index, seen in walk(x, *case[1:]):
        acc = sum(int(v) - 11 for v in seen if v is not None)
        n = len(seen) if include else sum(v is not None for v in seen)
        m = F(F(0.043) / F(F(0.031) * F(n)))
        expected = min(max(round(float(F(F(acc) * m))) - 20, -128), 127)
        assert int(y[index]) == expected, f"{name}: y{index}, n = {n}"


@pytest.mark.parametrize("include", [0, 1])
@pytest.mark.parametrize("zero_point", [0, -7, 99])
@pytest.mark.parametrize("name", CASES)
def test_average_half_away_divides_raw_codes_as_c_does(
    name: str, zero_point: int, include: int
) -> None:
    case = CASES[name]
    x = RNG.integers(-128, 128, case[0]).astype(np.int8)
    q = qparams(0.1, zero_point)
    y = average_pool_quantized(
        x,
        x_qparams=q,
        y_qparams=q,
        contract=preset("tflite_reference"),
        count_include_pad=include,
        **options(case),
    )
    for index, seen in walk(x, *case[1:]):
        codes = [zero_point if v is None else int(v) for v in seen if include or v is not None]
        total, n = sum(codes), len(codes)
        nudged = total + n // 2 if total > 0 else total - n // 2
        expected = abs(nudged) // n * (1 if nudged > 0 else -1)  # C truncates
        assert int(y[index]) == expected, f"{name}: y{index}, sum {total}, n {n}"


def test_the_multiplier_of_an_average_rounds_where_the_text_says() -> None:
    rng = np.random.default_rng(2)
    x = rng.integers(90, 128, (1, 400, 49)).astype(np.int8)
    other = 0
    for _ in range(30):
        sx: Any = F(rng.uniform(0.5, 1.0))
        sy: Any = F(sx / rng.uniform(200, 270))  # large codes: an ulp of m is seen most often
        y = global_average_pool_quantized(
            x,
            x_qparams=qparams(sx, 3),
            y_qparams=qparams(sy, 0, "int16"),
            contract=preset("onnx"),
        )
        acc = (x.astype(int) - 3).sum(axis=2)[0].astype(F)
        expected = [round(float(F(a * F(sx / F(sy * F(49)))))) for a in acc]
        assert y.ravel().tolist() == expected, f"m = f32(sx / f32(sy * f32(n))), {sx}, {sy}"
        other += expected != [round(float(F(a * F(F(sx / sy) / F(49))))) for a in acc]
    assert other, "the cases must tell the other order apart"


def test_ties_of_the_two_averages() -> None:
    x = np.array([[[1, 2, -1, -2, 2, 3, -2, -3]]], np.int8)  # means 1.5 -1.5 2.5 -2.5
    one = qparams(1.0, 0)
    codes = {
        name: average_pool_quantized(
            x,
            x_qparams=one,
            y_qparams=one,
            contract=preset(name),
            kernel_shape=[2],
            strides=[2],
        ).tolist()
        for name in ("onnx", "tflite_reference")
    }
    assert codes == {"onnx": [[[2, -2, 2, -2]]], "tflite_reference": [[[2, -2, 3, -3]]]}, "ties"


def test_every_sum_of_a_small_window_half_away() -> None:
    for n in (1, 2, 3, 4):
        for total in range(-9, 10):
            x = np.zeros((1, 1, n), np.int8)
            x[0, 0, 0] = total
            q = qparams(1.0, 0)
            y = global_average_pool_quantized(
                x, x_qparams=q, y_qparams=q, contract=preset("tflite_reference")
            )
            exact = abs(2 * total) // n  # twice the mean, truncated
            expected = (exact + 1) // 2 * (1 if total >= 0 else -1)
            assert int(y[0, 0, 0]) == expected, f"{total} / {n}, ties away from zero"


def test_global_pools_see_the_whole_plane() -> None:
    x = RNG.normal(size=(2, 3, 4, 5)).astype(F)
    assert global_max_pool(x).tolist() == x.max(axis=(2, 3), keepdims=True).tolist(), "max"
    total = np.zeros((2, 3, 1, 1), F)
    for v in range(20):
        total += x.reshape(2, 3, 20)[:, :, v, None, None]
    assert np.array_equal(global_average_pool_f32(x), total / F(20)), "ascending sum over 20"


def test_clamps_are_codes_of_y() -> None:
    q = qparams(1.0, 0)
    x = np.array([[[-50, 50]]], np.int8)
    y = average_pool_quantized(
        x,
        x_qparams=q,
        y_qparams=q,
        contract=preset("onnx"),
        kernel_shape=[1],
        clamp_min=0,
        clamp_max=6,
    )
    assert y.tolist() == [[[0, 6]]], "a fused Relu6"


@pytest.mark.parametrize(
    ("shape", "attributes", "message"),
    [
        ((1, 2), {"kernel_shape": []}, r"x must be \(N, C, L\)"),
        ((1, 0, 4), {"kernel_shape": [1]}, "at least one channel"),
        ((1, 1, 4), {"kernel_shape": [5]}, "window covers 5"),
        (
            (1, 1, 4),
            {"kernel_shape": [2], "pads": [2, 0]},
            "pads must be smaller than kernel_shape",
        ),
        ((1, 1, 4), {"kernel_shape": [2], "strides": [0]}, "attribute strides"),
        ((1, 1, 4), {"kernel_shape": [2], "count_include_pad": 2}, "attribute count_include_pad"),
    ],
)
def test_wrong_attributes_are_refused_by_name(
    shape: Any, attributes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=f"AveragePool: .*{message}"):
        average_pool_f32(np.zeros(shape, F), **attributes)


def test_half_away_needs_equal_parameters() -> None:
    with pytest.raises(ValueError, match="AveragePool: half_away needs equal parameters"):
        average_pool_quantized(
            np.zeros((1, 1, 2), np.int8),
            x_qparams=qparams(1, 0),
            y_qparams=qparams(1, 1),
            contract=preset("tflite_reference"),
            kernel_shape=[2],
        )


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 7, 9, 16, 49, 64, 100, 196, 1023])
def test_the_reciprocal_of_tosa_by_fractions(n: int) -> None:
    """Eq. (5) in integers: the mean but for 2^-30 of it, ties up."""
    contract = replace(preset("onnx"), average_pool="tosa_reciprocal")
    one = QParams(np.float32(0.5), np.int32(3), None, "int8")
    rng = np.random.default_rng(n)
    q = rng.integers(-128, 128, (8, 1, n)).astype(np.int8)
    got = average_pool_quantized(
        q, x_qparams=one, y_qparams=one, contract=contract, kernel_shape=[n]
    )
    k = (n - 1).bit_length()
    multiplier = (2**30 + 1) * 2**k // n
    for row, code in zip(q[:, 0].tolist(), got.ravel().tolist(), strict=True):
        total = sum(row) - 3 * n
        exact = math.floor(Fraction(total * multiplier, 2 ** (30 + k)) + Fraction(1, 2)) + 3
        assert code == min(max(exact, -128), 127), f"n {n}, sum {total}"


def test_tosa_needs_equal_scales_and_a_contract_may_have_no_average() -> None:
    one, two = (QParams(np.float32(s), np.int32(0), None, "int8") for s in (1, 2))
    q = np.zeros((1, 1, 2), np.int8)
    with pytest.raises(ValueError, match=r"tosa_reciprocal needs equal scales .* 1.0 and 2.0"):
        average_pool_quantized(
            q,
            x_qparams=one,
            y_qparams=two,
            contract=replace(preset("onnx"), average_pool="tosa_reciprocal"),
            kernel_shape=[2],
        )
    none = replace(preset("onnx"), average_pool="unspecified")
    with pytest.raises(ValueError, match="leaves a quantized AveragePool unspecified"):
        average_pool_quantized(q, x_qparams=one, y_qparams=one, contract=none, kernel_shape=[2])
