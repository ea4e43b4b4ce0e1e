"""ReduceMean of codes, against fractions and Python's integers; codes of LiteRT 2.3.0 as golden."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.qparams import QParams
from refquant.ops.mean import folded_multiplier, reduce_mean_quantized

F = np.float32


def ruler(scale: float, zero_point: int, dtype: str = "int8") -> QParams:
    return QParams(F(scale), np.int32(zero_point), None, dtype)


def folded(total: int, n: int, sx: float, sy: float) -> int:
    """What TFLite does, over the integers."""
    ratio = Fraction(sx) / Fraction(sy)
    exponent = 0
    while ratio >= Fraction(2) ** exponent:
        exponent += 1
    while ratio < Fraction(2) ** (exponent - 1):
        exponent -= 1
    # the ratio itself is a float64 first
    m = int(Fraction(float(sx) / float(sy)) * Fraction(2) ** (31 - exponent) + Fraction(1, 2))
    if m == 2**31:
        m, exponent = 2**30, exponent + 1
    left = min(n.bit_length() - 1, 32, 31 + exponent)
    m, exponent = (m << left) // n, exponent - left
    high = ((total << max(exponent, 0)) * m + 2**30) >> 31
    e = max(-exponent, 0)
    magnitude = (abs(high) + (1 << e >> 1)) >> e
    return magnitude if high >= 0 else -magnitude


def floated(total: int, n: int, sx: np.float32, zx: int, sy: np.float32, zy: int) -> int:
    m = F(F(sx / sy) * F(F(1) / F(n)))
    return int(np.rint(F(F(F(total) * m) + F(F(zy) - F(F(F(n) * F(zx)) * m)))))


@pytest.mark.parametrize("seed", range(60))
@pytest.mark.parametrize("name", ["tflite_reference", "xnnpack"])
def test_the_mean_is_the_contracts(seed: int, name: str) -> None:
    rng = np.random.default_rng(seed)
    n = int(rng.choice([1, 2, 3, 5, 16, 35, 49, 64, 100]))
    sx, sy = F(10 ** rng.uniform(-3, 0)), F(10 ** rng.uniform(-3, 0))
    if seed % 3 == 0:
        sy = sx  # ties
    zx, zy = (int(v) for v in rng.integers(-128, 128, 2))
    q = rng.integers(-128, 128, (40, n)).astype(np.int8)
    got = reduce_mean_quantized(
        q, axes=[1], keepdims=0, x_qparams=ruler(float(sx), zx), y_qparams=ruler(float(sy), zy),
        contract=preset(name),
    )  # fmt: skip
    for row, code in zip(q.tolist(), got.tolist(), strict=True):
        if name == "xnnpack":
            exact = floated(sum(row), n, sx, zx, sy, zy)
        else:
            exact = folded(sum(row) - n * zx, n, float(sx), float(sy)) + zy
        assert code == max(-128, min(127, exact)), f"{name}: {row}, {sx} {zx} -> {sy} {zy}"


def test_axes_may_be_any() -> None:
    q = np.arange(-60, 60, dtype=np.int8).reshape(2, 3, 4, 5)
    one = ruler(1, 0)
    options: dict[str, Any] = {"x_qparams": one, "y_qparams": one, "contract": preset("xnnpack")}
    turned = reduce_mean_quantized(q.transpose(0, 3, 1, 2), axes=[2, 3], **options)
    plain = reduce_mean_quantized(q, axes=[-2, 1], **options)
    assert plain.shape == (2, 1, 1, 5), "axes stay with length 1"
    assert np.array_equal(turned[:, :, 0, 0], plain[:, 0, 0]), "the same elements, the same mean"


def test_the_multiplier_takes_the_count_in() -> None:
    assert folded_multiplier(F(1), F(1), 1) == (2**30, 1), "nothing to fold"
    assert folded_multiplier(F(1), F(1), 64) == (2**30, -5), "a power of two is exact"
    assert folded_multiplier(F(1), F(1), 3) == (2**31 // 3, 0), "cut off, not rounded"
    assert folded_multiplier(F(1), F(2.0**40), 3)[0] == 0, "no int32 survives that"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"axes": [2]}, "axes must be different axes"),
        ({"axes": [0, -2]}, "axes must be different axes"),
        ({"axes": []}, "axes must be different axes"),
        ({"contract": preset("ort")}, "leaves a quantized ReduceMean unspecified"),
    ],
)
def test_what_means_nothing_is_refused(change: dict[str, Any], message: str) -> None:
    one = ruler(1, 0)
    options: dict[str, Any] = {"x_qparams": one, "y_qparams": one, "axes": [1]}
    options["contract"] = preset("xnnpack")
    with pytest.raises(ValueError, match=message):
        reduce_mean_quantized(np.zeros((2, 3), np.int8), **{**options, **change})
    with pytest.raises(ValueError, match="the mean of no codes"):
        reduce_mean_quantized(np.zeros((2, 0), np.int8), **options)
