"""Dynamic-range layers against exact rationals, rounded where the text says, at edges and ties."""

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.formats.affine import QParams
from refquant.ops.dynamic_range import conv_dynamic_range, matmul_dynamic_range, quantize_rows

F32 = NDArray[np.float32]
HYBRID = ("tflite_hybrid", "tflite_hybrid_conv", "tflite_hybrid_depthwise", "xnnpack_hybrid")


def f32(x: Fraction | float) -> Fraction:
    """Round a rational to float32, half to even: the nearest of three neighbours."""
    exact = Fraction(x)
    near = np.float32(float(exact))
    best = [near, np.nextafter(near, np.float32(np.inf)), np.nextafter(near, np.float32(-np.inf))]
    return min(
        (Fraction(float(v)) for v in best if np.isfinite(v)),
        key=lambda v: (abs(v - exact), int(np.float32(float(v)).view(np.uint32)) & 1),
    )


def away(x: Fraction) -> int:
    whole = int(abs(x) + Fraction(1, 2))
    return whole if x >= 0 else -whole


def even(x: Fraction) -> int:
    return round(x)  # Python's: half to even


def parameters(row: list[Fraction], kind: str) -> tuple[Fraction, Fraction, int]:
    low, high = min([*row, Fraction(0)]), max([*row, Fraction(0)])
    if low == high:
        return Fraction(1), Fraction(1), 0
    if kind == "symmetric":
        edge = max(-low, high)
        return f32(edge / 127), f32(127 / edge), 0
    width = f32(high - low)
    if kind == "tflite":
        step = Fraction(float(width) / 255.0)  # float64
        below, above = Fraction(float(low) / float(step)), Fraction(float(high) / float(step))
        real = -128 - below if 128 + abs(below) < 127 + abs(above) else 127 - above
        scale = f32(step)
        return scale, f32(1 / scale), max(-128, min(127, away(Fraction(float(real)))))
    inverse = f32(255 / width)
    under, over = f32(low * inverse), f32(high * inverse)
    terms = f32(f32(-128 + under) + f32(127 + over))
    real = f32(-128 - under) if terms > 0 else f32(127 - over)
    return f32(1 / inverse), inverse, max(-128, min(127, even(real)))


def expected(
    x: F32, w: NDArray[Any], sw: F32, bias: F32, name: str, kind: str
) -> list[list[float]]:
    rows = []
    for line in x:
        row = [Fraction(float(v)) for v in line]
        scale, inverse, zero = parameters(row, kind)
        whole = even if name == "xnnpack_hybrid" else away
        low = -127 if kind == "symmetric" else -128
        codes = [max(low, min(127, whole(f32(v * inverse)) + zero)) - zero for v in row]
        made = []
        for j in range(w.shape[1]):
            p = f32(sum(c * int(w[k, j]) for k, c in enumerate(codes)))
            s, b = Fraction(float(sw[j])), Fraction(float(bias[j]))
            late = name == "tflite_hybrid_depthwise" and j >= w.shape[1] // 4 * 4
            if name == "xnnpack_hybrid":
                made.append(f32(f32(p * scale) * s + b))
            elif name == "tflite_hybrid":
                made.append(f32(f32(p * f32(scale * s)) + b))
            else:
                first, second = (scale, s) if late else (s, scale)
                made.append(f32(f32(f32(p * first) * second) + b))
        rows.append([float(v) for v in made])
    return rows


def inputs() -> F32:
    rng = np.random.default_rng(7)
    x = rng.normal(size=(14, 9)).astype(np.float32)
    x[1] = 0
    x[2] = [127, 0.5, -0.5, 1.5, -1.5, 2.5, -63.5, 63.5, -126.5]  # ties of amax / 127
    x[3] = [255, 0.5, 1.5, 2.5, 100.5, 127.5, 128.5, 0, 3]  # of width / 255
    x[4] = -np.abs(x[4])
    x[5] = np.abs(x[5]) * np.float32(1e30)
    x[6] *= np.float32(1e-30)
    x[7] = [-1, 1, 0, 0, 0, 0, 0, 0, 0]  # both ends as near
    x[8] = [3, *[0] * 8]
    x[9] = [1.6066358089447021, 1.5497077703475952, *[0] * 7]  # 127 / a is not 1 / (a / 127)
    x[10] = [1.1756556034088135, 0.10645699501037598, *[0] * 7]
    return x


@pytest.mark.parametrize(
    ("name", "symmetric"),
    [(n, s) for n in HYBRID for s in (True, False) if not (s and n == "xnnpack_hybrid")],
)
def test_products_are_those_of_exact_arithmetic(name: str, symmetric: bool) -> None:
    rng = np.random.default_rng(3)
    x, w = inputs(), rng.integers(-127, 128, (9, 6)).astype(np.int8)
    sw = (10.0 ** rng.uniform(-3, 0, 6)).astype(np.float32)
    bias = rng.normal(size=6).astype(np.float32)
    ruler = QParams(sw.reshape(1, 6), np.zeros((1, 6), np.int32), (9, 1), "int8")
    got = matmul_dynamic_range(
        x, w, bias, w_qparams=ruler, symmetric=symmetric, contract=preset(name)
    )
    kind = "symmetric" if symmetric else "xnnpack" if name == "xnnpack_hybrid" else "tflite"
    assert got.tolist() == expected(x, w, sw, bias, name, kind), "to the bit"


@pytest.mark.parametrize("name", HYBRID)
def test_a_convolution_of_one_pixel_is_a_product_and_samples_are_apart(name: str) -> None:
    rng = np.random.default_rng(5)
    x, w = inputs(), rng.integers(-127, 128, (9, 6)).astype(np.int8)
    bias, ruler = np.zeros(6, np.float32), QParams(np.float32(0.5), np.int32(0), None, "int8")
    one: dict[str, Any] = {"w_qparams": ruler, "symmetric": False, "contract": preset(name)}
    rows = matmul_dynamic_range(x, w, bias, **one)
    image = conv_dynamic_range(x[:, :, None], w.T[:, :, None], bias, **one)
    assert np.array_equal(image[:, :, 0], rows), "each sample has a range of its own"


def test_padding_is_zero_and_not_the_code_zero() -> None:
    x = np.array([[[1.0, 3.0]]], np.float32)
    ruler = QParams(np.float32(1), np.int32(0), None, "int8")
    made = conv_dynamic_range(
        x, np.array([[[1, 1]]], np.int8), np.zeros(1, np.float32), w_qparams=ruler,
        symmetric=False, contract=preset("xnnpack_hybrid"), pads=[1, 0],
    )  # fmt: skip
    error = np.abs(made - np.array([[[1, 4]]], np.float32))
    assert error.max() <= 3 / 255, "half a step, 3 / 255 / 2, for each of two products"


def test_nan_has_no_say_and_infinity_takes_all() -> None:
    x = np.array([[np.nan, 1.0, -2.0], [np.inf, 1.0, 0.0], [np.nan] * 3], np.float32)
    codes, scale, zero = quantize_rows(x, symmetric=True, contract=preset("tflite_hybrid"))
    assert codes[0].tolist() == [-127, 64, -127], "NaN is int32's least, clamped"
    assert codes[1].tolist() == [-127, 0, 0], "inf * 0 is NaN, what is finite is 0"
    assert (scale[1], zero.tolist()) == (np.float32(np.inf), [0, 0, 0]), "the scale is infinite"
    assert scale[2] == 1, "a row of NaN has no range"
    codes, scale, zero = quantize_rows(x, symmetric=False, contract=preset("xnnpack_hybrid"))
    assert codes[0, 0] + zero[0] == 127, "XNNPACK's NaN is the largest code"


def test_a_contract_of_codes_is_refused() -> None:
    ruler = QParams(np.float32(1), np.int32(0), None, "int8")
    with pytest.raises(ValueError, match="'gemmlowp_double', which gives codes"):
        matmul_dynamic_range(
            np.ones((1, 1), np.float32), np.ones((1, 1), np.int8), np.zeros(1, np.float32),
            w_qparams=ruler, symmetric=True, contract=preset("tflite_reference"),
        )  # fmt: skip
