"""Laws of affine codes: order, symmetry, units, there and back, blocks; what is refused."""

import math
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import PRESETS, Contract, preset
from refquant.formats.affine import QParams, dequantize, fake_quantize, quantize
from refquant.numerics.blocks import per_channel, per_group
from refquant_conformance.oracle import float32
from refquant_conformance.strategies import quantizer_inputs, scales
from tests.refquant.formats.rulers import (
    DTYPES,
    LARGEST,
    NEAREST,
    ONNX,
    Float32,
    around_ties,
    codes_of,
    contracts,
    f32,
    ruler,
    rulers,
)

# ---- order, symmetry, scaling -----------------------------------------------------------------


@given(contract=contracts(), qparams=rulers(), k=st.integers(-200, 200))
def test_codes_never_decrease_between_adjacent_floats(
    contract: Contract, qparams: QParams, k: int
) -> None:
    """QDQ-12: five floats in a row around a tie, for every contract that saturates."""
    contract = replace(contract, overflow="saturate", nan="qmin")
    x = np.sort(around_ties(float(qparams.scale), [k - int(qparams.zero_point)]))
    codes = codes_of(x, qparams, contract)
    assert codes == sorted(codes), "x <= y gives q(x) <= q(y)"


@given(data=st.data(), scale=scales(), rounding=st.sampled_from(["half_even", "half_away"]))
def test_odd_rules_are_odd(data: st.DataObject, scale: float, rounding: str) -> None:
    """QDQ-15: q(-x) = -q(x) on the narrow range around zero point 0."""
    x = data.draw(quantizer_inputs(scale=scale, allow_nan=False))
    qparams, contract = ruler(scale, 0, "int8", narrow=True), replace(ONNX, rounding=rounding)
    mirrored = [-q for q in codes_of(-x, qparams, contract)]
    assert codes_of(x, qparams, contract) == mirrored, "the rule has no side"


@given(
    data=st.data(),
    contract=contracts(),
    scale=scales(low=2.0**-20, high=2.0**20),
    power=st.integers(-30, 30),
)
def test_units_do_not_matter(
    data: st.DataObject, contract: Contract, scale: float, power: int
) -> None:
    """QDQ-16: q(2^p x, 2^p s) = q(x, s) as long as nothing over- or underflows."""
    x = data.draw(quantizer_inputs(scale=scale, allow_nan=False))
    x = x[(np.abs(x) < 2.0**80) & ((x == 0) | (np.abs(x) > 2.0**-80))]
    factor = np.float32(2.0**power)
    codes = codes_of(x * factor, ruler(scale * 2.0**power, 1, "int8"), contract)
    assert codes == codes_of(x, ruler(scale, 1, "int8"), contract), "a change of units"


@given(data=st.data(), scale=scales(high=2.0**100), z=st.integers(-128, 127))
def test_the_zero_point_shifts_and_then_saturates(
    data: st.DataObject, scale: float, z: int
) -> None:
    """QDQ-17: q(x; z) = clamp(q(x; 0 on a wide range) + z)."""
    x = data.draw(quantizer_inputs(scale=scale, zero_point=z, allow_nan=False))
    wide = codes_of(x, ruler(scale, 0, "int32"))
    shifted = [min(max(q + z, -128), 127) for q in wide]
    assert codes_of(x, ruler(scale, z, "int8")) == shifted, "the same codes, shifted"


@given(data=st.data(), scale=scales(high=2.0**100))
def test_a_negative_scale_is_a_mirror(data: st.DataObject, scale: float) -> None:
    """QDQ-11: where the contract allows it, q(x; -s) = q(-x; s)."""
    x = data.draw(quantizer_inputs(scale=scale))
    contract = replace(ONNX, negative_scale=True)
    mirrored = codes_of(-x, ruler(scale, 3, "int8"), contract)
    assert codes_of(x, ruler(-scale, 3, "int8"), contract) == mirrored, "marks from right to left"


# ---- there and back ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_code_means_the_correctly_rounded_real(dtype: str) -> None:
    """QDQ-01: (q - z) * s has 17 + 24 bits: exact in float64, then one rounding."""
    for scale in (1.0, 0.1, 1 / 3, -1 / 255, 2.0**-126, 2.0**111):
        full = ruler(scale, 0, dtype).full_range
        q = np.arange(full[0], full[1] + 1)
        for z in (full[0], 0, full[1]):
            product = (q - z) * float(np.float32(scale))
            with np.errstate(over="ignore", under="ignore"):
                expected = product.astype(np.float32)
            x_hat = dequantize(q, ruler(scale, z, dtype))
            np.testing.assert_array_equal(x_hat, expected, err_msg=f"scale {scale}, z {z}")
            assert x_hat.dtype == np.float32, "float32 out"


@given(q=st.integers(-(2**31), 2**31 - 1), scale=scales())
def test_int32_codes_are_rounded_to_float32_first(q: int, scale: float) -> None:
    """QDQ-23: f32(f32(q) * s), the two roundings of operators.md section 2."""
    expected = float32(Fraction(float32(q)) * Fraction(scale))
    assert dequantize(np.array([q]), ruler(scale, 0, "int32")).tolist() == [expected], (
        "two roundings"
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_codes_come_back_from_exact_reals(dtype: str, name: str) -> None:
    """QDQ-13: quantize(dequantize(q)) = q for every code when q * s is exact."""
    for scale in (1.0, 0.25, 2.0**-110, 2.0**100):
        qmin, qmax = ruler(scale, 0, dtype).code_range
        q = np.arange(qmin, qmax + 1)
        for z in (0,) if preset(name).zero_point == "none" else (qmin, 0, qmax):
            qparams = ruler(scale, z, dtype)
            back = quantize(dequantize(q, qparams), qparams, contract=preset(name))
            np.testing.assert_array_equal(back, q, err_msg=f"scale {scale}, zero point {z}")


@given(scale=scales(high=2.0**100), z=st.integers(-128, 127), name=st.sampled_from(sorted(PRESETS)))
def test_8_bit_codes_come_back_from_rounded_reals(scale: float, z: int, name: str) -> None:
    """QDQ-13: (q - z) s is off by 255 * 2^-24 marks at most, and a tie is half a mark away."""
    z = 0 if preset(name).zero_point == "none" else z
    q, qparams = np.arange(-128, 128), ruler(scale, z, "int8")
    back = quantize(dequantize(q, qparams), qparams, contract=preset(name))
    np.testing.assert_array_equal(back, q, err_msg="fake quantization must be idempotent")


@given(data=st.data(), qparams=rulers(("int4", "uint8", "int8")), name=st.sampled_from(NEAREST))
def test_the_error_is_half_a_mark_inside_and_the_distance_outside(
    data: st.DataObject, qparams: QParams, name: str
) -> None:
    """QDQ-14: |x - x_hat| <= s/2, but for two float32 roundings of at most 2^-24 of 256 marks."""
    s, z = Fraction(float(qparams.scale)), int(qparams.zero_point)
    qmin, qmax = qparams.code_range
    x = data.draw(
        quantizer_inputs(scale=float(s), zero_point=z, qmin=qmin, qmax=qmax, allow_nan=False).map(
            lambda v: v[np.abs(v) < LARGEST / 2]
        )
    )
    x_hat = fake_quantize(x, qparams, contract=replace(ONNX, rounding=name))
    for real, mark in zip(map(Fraction, x.tolist()), x_hat.tolist(), strict=True):
        if math.isinf(mark):
            continue  # the mark itself is beyond float32
        outside = max((qmin - z) * s - real, real - (qmax - z) * s, Fraction(0))
        slack = 256 * s / 2**23 + Fraction(1, 2**149)
        error = abs(real - Fraction(mark))
        assert error <= max(outside, s / 2) + slack, f"{float(real)} became {mark}"


# ---- blocks and shapes ------------------------------------------------------------------------


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2])
@pytest.mark.parametrize("name", sorted(PRESETS))
def test_per_channel_is_a_loop_of_per_tensor(axis: int, name: str) -> None:
    """QDQ-19: any axis, negative ones included; codes and reals."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(3, 4, 5)).astype(np.float32)
    block = per_channel(x.shape, axis)
    shape = tuple(d if b == 1 else 1 for d, b in zip(x.shape, block, strict=True))
    scale = rng.uniform(0.01, 0.1, shape).astype(np.float32)
    zero_point = rng.integers(-128, 128, shape) * (preset(name).zero_point != "none")
    qparams = QParams(scale, zero_point.astype(np.int32), block, "int8")
    codes = quantize(x, qparams, contract=preset(name))
    reals = dequantize(codes, qparams)
    for i in range(x.shape[axis]):
        one = ruler(float(scale.take(i)), int(zero_point.take(i)), "int8")
        channel: Float32 = np.take(x, [i], axis)
        alone = quantize(channel, one, contract=preset(name))
        np.testing.assert_array_equal(codes.take([i], axis), alone, err_msg=f"channel {i}")
        np.testing.assert_array_equal(
            reals.take([i], axis), dequantize(alone, one), err_msg="reals"
        )


@given(rows=st.integers(0, 9), columns=st.integers(0, 3), size=st.integers(1, 10))
def test_groups_may_have_a_ragged_tail(rows: int, columns: int, size: int) -> None:
    """QDQ-19: groups along the rows of (K, N), any remainder, also of an empty tensor."""
    x = np.linspace(-8, 8, rows * columns).astype(np.float32).reshape(rows, columns)
    groups = -(-rows // size)
    scale = 2.0 ** -np.arange(groups * columns).reshape(groups, columns)
    qparams = QParams(
        scale.astype(np.float32),
        np.zeros(scale.shape, np.int32),
        per_group(x.shape, 0, size),
        "int4",
    )
    codes = quantize(x, qparams, contract=ONNX)
    assert codes.shape == x.shape, "a code an element"
    for i, j in np.ndindex(x.shape):
        alone = codes_of(x[i : i + 1, j], ruler(scale[i // size, j], 0, "int4"))
        assert [codes[i, j]] == alone, f"element {i}, {j}"


@pytest.mark.parametrize("shape", [(), (1,), (0,), (2, 0, 3)])
def test_every_shape_keeps_its_shape(shape: tuple[int, ...]) -> None:
    x = np.ones(shape, np.float32)
    codes = quantize(x, ruler(0.5, 0, "int8"), contract=ONNX)
    assert isinstance(codes, np.ndarray), "an array, also of no dimensions"
    assert (codes.shape, codes.dtype) == (shape, np.dtype(np.int8)), "shape and dtype"
    reals = dequantize(codes, ruler(0.5, 0, "int8"))
    assert (reals.shape, reals.dtype) == (shape, np.dtype(np.float32)), "shape and dtype"


@pytest.mark.parametrize(
    ("dtype", "container"),
    [("int1", "int8"), ("int8", "int8"), ("uint1", "uint8"), ("uint8", "uint8"), ("int9", "int16"),
     ("int16", "int16"), ("uint9", "uint16"), ("uint16", "uint16"), ("int32", "int32")],
)  # fmt: skip
def test_codes_come_in_the_smallest_container(dtype: str, container: str) -> None:
    for contract in PRESETS.values():
        codes = quantize(f32(-1, 1), ruler(1.0, 0, dtype), contract=contract)
        assert codes.dtype == np.dtype(container), f"{dtype} codes are held in {container}"


# ---- what is refused --------------------------------------------------------------------------


def test_a_negative_scale_needs_a_contract_that_has_them() -> None:
    """QDQ-11."""
    with pytest.raises(ValueError, match=r"scale must be > 0 in contract 'onnx', got -0.5"):
        quantize(f32(1.0), ruler(-0.5, 0, "int8"), contract=ONNX)


@pytest.mark.parametrize("x", [np.zeros(3), np.zeros(3, np.int32), np.zeros(3, np.float16), 0.5])
def test_only_float32_is_quantized(x: Any) -> None:
    with pytest.raises(ValueError, match="x must be float32, got "):
        quantize(x, ruler(1.0, 0, "int8"), contract=ONNX)


@pytest.mark.parametrize("q", [np.array([16]), np.array([-1]), np.array([1.0]), np.array([True])])
def test_only_codes_are_dequantized(q: Any) -> None:
    with pytest.raises(ValueError, match=r"q must be integers in .0, 15. for uint4, got "):
        dequantize(q, ruler(1.0, 0, "uint4"))


def test_parameters_must_fit_the_tensor() -> None:
    qparams = QParams(np.ones((2, 1), np.float32), np.zeros((2, 1), np.int32), (1, 3), "int8")
    with pytest.raises(ValueError, match="params must have shape"):
        quantize(np.zeros((3, 3), np.float32), qparams, contract=ONNX)
