"""Elementwise arithmetic of two operands: Add, Sub, Mul, Div, with numpy broadcasting.

In float32 each is one rounding.  On codes, ``Add`` is where backends differ most, because the two
inputs count in different steps.  Four arithmetics, by the contract's axis ``add``:

    dequantize        q = quantize(f32(dequantize(a) + dequantize(b)))                         (1)

    tflite_shift20    t = 2 max(sa, sb)
                      A = mbqm((qa - za) 2**20, sa / t),   B likewise
                      q = mbqm(A + B, t / (2**20 sy)) + zy      16-bit codes: 2**15            (2)

    scale_ratios      ra = f32(sa / sy), rb = f32(sb / sy), F = f32(zy - f32(ra za + f32(rb zb)))
                      q = cast(round_half_even(f32(ra qa + f32(rb qb + F))))                   (5)

    xnnpack_shift20   ra = f32(sa / sy), rb = f32(sb / sy), shift = 20 - floor(log2(max(ra, rb)))
                      ma = round_half_even(ra 2**shift), mb likewise
                      q = zy + ((2**(shift-1) + ma (qa - za) + mb (qb - zb)) >> shift)         (3)

mbqm is the requantization ``gemmlowp_double``; its multipliers are formed in float64.  So are the
products and sums inside the brackets of (5): what onnxruntime 1.32 has on processors with a fused
multiply-add; its cast makes -2**31 of what int32 has not, as x86 does.
``Mul`` is exact in the accumulator, so it is one requantization:

    q = requantize((qa - za) (qb - zb), sa * sb / sy) + zy                                     (4)

Left out: quantized ``Sub`` and ``Div`` (no contract names an arithmetic for them).

Source: ``docs/spec/operators.md`` §1 and §4; TFLite ``reference/add.h``, XNNPACK
``qs8-vadd`` (minmax parameters).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats import affine
from refquant.formats.affine import QParams
from refquant.numerics.requantize import requantize
from refquant.numerics.rounding import round_half_even
from refquant.ops.rescale import (
    clamp_codes,
    need_float32,
    output_multiplier,
    rescale,
    scalar_parameters,
)

__all__ = ["add_f32", "add_quantized", "div_f32", "mul_f32", "mul_quantized", "sub_f32"]

Float = NDArray[np.float32]
Codes = NDArray[Any]


def add_f32(a: Float, b: Float) -> Float:
    """Return f32(a + b).

    >>> add_f32(np.array([1, 2], np.float32), np.array([0.5], np.float32)).tolist()
    [1.5, 2.5]
    """
    return _float_binary("Add", np.add, a, b)


def sub_f32(a: Float, b: Float) -> Float:
    """Return f32(a - b).

    >>> sub_f32(np.array([1, 2], np.float32), np.array([0.5], np.float32)).tolist()
    [0.5, 1.5]
    """
    return _float_binary("Sub", np.subtract, a, b)


def mul_f32(a: Float, b: Float) -> Float:
    """Return f32(a * b).

    >>> mul_f32(np.array([1, 2], np.float32), np.array([0.5], np.float32)).tolist()
    [0.5, 1.0]
    """
    return _float_binary("Mul", np.multiply, a, b)


def div_f32(a: Float, b: Float) -> Float:
    """Return f32(a / b); division by zero gives infinity or NaN as IEEE 754 says.

    >>> div_f32(np.array([1, 2], np.float32), np.array([0.0, 4.0], np.float32)).tolist()
    [inf, 0.5]
    """
    return _float_binary("Div", np.divide, a, b)


def add_quantized(
    a: Codes,
    b: Codes,
    *,
    a_qparams: QParams,
    b_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of a + b by the contract's axis ``add``: eqs. (1)-(3), (5).

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> two = QParams(scale=np.float32(2), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> a, b = np.array([5, -5], np.int8), np.array([0], np.int8)
    >>> def total(name):
    ...     return add_quantized(a, b, a_qparams=one, b_qparams=one, y_qparams=two,
    ...                          contract=preset(name)).tolist()
    >>> total("onnx"), total("tflite_reference"), total("xnnpack")
    ([2, -2], [3, -3], [3, -2])
    """
    _check_broadcast("Add", a, b)
    scalar_parameters("Add", "a", a_qparams)
    scalar_parameters("Add", "b", b_qparams)
    scalar_parameters("Add", "y", y_qparams)
    if contract.add == "dequantize":
        real = add_f32(affine.dequantize(a, a_qparams), affine.dequantize(b, b_qparams))
        codes = affine.quantize(real, y_qparams, contract=contract).astype(np.int64)
    elif contract.add == "scale_ratios":
        codes = _add_ratios(a, b, a_qparams, b_qparams, y_qparams)
    elif contract.add == "tflite_shift20":
        codes = _add_tflite(a, b, a_qparams, b_qparams, y_qparams)
    elif contract.add == "xnnpack_shift20":
        codes = _add_xnnpack(a, b, a_qparams, b_qparams, y_qparams)
    else:
        raise ValueError(
            f"Add: contract {contract.name!r} leaves a quantized Add {contract.add}; "
            f"dequantize before it"
        )
    return clamp_codes("Add", codes, y_qparams.dtype, clamp_min, clamp_max)


def mul_quantized(
    a: Codes,
    b: Codes,
    *,
    a_qparams: QParams,
    b_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of a * b: eq. (4).

    >>> from refquant.contracts import preset
    >>> half = QParams(scale=np.float32(0.5), zero_point=np.int32(1), block_shape=None,
    ...                dtype="int8")
    >>> mul_quantized(np.array([5], np.int8), np.array([-3], np.int8), a_qparams=half,
    ...               b_qparams=half, y_qparams=half, contract=preset("onnx")).tolist()
    [-7]
    """
    _check_broadcast("Mul", a, b)
    sa, za = scalar_parameters("Mul", "a", a_qparams)
    sb, zb = scalar_parameters("Mul", "b", b_qparams)
    sy, _ = scalar_parameters("Mul", "y", y_qparams)
    acc = (a.astype(np.int64) - za) * (b.astype(np.int64) - zb)
    return rescale(
        "Mul",
        acc,
        output_multiplier(sa, sb, sy, contract=contract),
        y_qparams=y_qparams,
        contract=contract,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def _add_ratios(
    a: Codes, b: Codes, a_qparams: QParams, b_qparams: QParams, y_qparams: QParams
) -> NDArray[np.int64]:
    """Eq. (5): a product of float32 and a code is exact in float64; each line is one rounding."""
    sa, za = scalar_parameters("Add", "a", a_qparams)
    sb, zb = scalar_parameters("Add", "b", b_qparams)
    sy, zy = scalar_parameters("Add", "y", y_qparams)
    with np.errstate(over="ignore", under="ignore"):
        ra, rb = np.float64(sa / sy), np.float64(sb / sy)  # float32 divisions
        if not np.isfinite([ra, rb]).all():
            raise ValueError(f"Add: sa / sy and sb / sy must be finite, got {ra} and {rb}")
        inner = np.float32(ra * za + np.float32(rb * zb))
        fixed = np.float32(np.float32(zy) - inner)
        partial = (rb * b.astype(np.float64) + fixed).astype(np.float32)
        total = (ra * a.astype(np.float64) + partial).astype(np.float32)
    whole = np.rint(total.astype(np.float64))
    inside = (whole >= -(2.0**31)) & (whole < 2.0**31)
    return np.asarray(np.where(inside, whole, -(2.0**31)), np.int64)


def _add_tflite(
    a: Codes, b: Codes, a_qparams: QParams, b_qparams: QParams, y_qparams: QParams
) -> NDArray[np.int64]:
    """Eq. (2): three roundings, each of ``gemmlowp_double``."""
    sa, za = scalar_parameters("Add", "a", a_qparams)
    sb, zb = scalar_parameters("Add", "b", b_qparams)
    sy, zy = scalar_parameters("Add", "y", y_qparams)
    twice = 2.0 * max(float(sa), float(sb))
    bits = 15 if max(a.itemsize, b.itemsize) > 1 else 20
    left = _mbqm((a.astype(np.int64) - za) << bits, float(sa) / twice)
    right = _mbqm((b.astype(np.int64) - zb) << bits, float(sb) / twice)
    return _mbqm(left + right, twice / (float(1 << bits) * float(sy))) + zy


def _mbqm(x: NDArray[np.int64], multiplier: float) -> NDArray[np.int64]:
    """TFLite's MultiplyByQuantizedMultiplier."""
    return requantize(x, np.float64(multiplier), mode="gemmlowp_double").astype(np.int64)


def _add_xnnpack(
    a: Codes, b: Codes, a_qparams: QParams, b_qparams: QParams, y_qparams: QParams
) -> NDArray[np.int64]:
    """Eq. (3): two multipliers that share one shift; the bits below are one half, then dropped."""
    sa, za = scalar_parameters("Add", "a", a_qparams)
    sb, zb = scalar_parameters("Add", "b", b_qparams)
    sy, zy = scalar_parameters("Add", "y", y_qparams)
    with np.errstate(over="ignore", under="ignore"):
        ratios = [float(sa / sy), float(sb / sy)]  # rounded to float32 by the division
    shift = 20 - (int(np.frexp(max(ratios))[1]) - 1)  # frexp's mantissa is in [0.5, 1)
    if not (np.isfinite(max(ratios)) and 1 <= shift <= 30):
        raise ValueError(
            f"Add: xnnpack_shift20 needs max(sa, sb) / sy in [2**-10, 2**20), got {max(ratios)}; "
            f"choose an output scale nearer to those of the inputs"
        )
    ma, mb = (int(round_half_even(np.float64(ratio) * 2.0**shift)) for ratio in ratios)
    half = 1 << (shift - 1)
    # int32 suffices: |ma|, |mb| <= 2**21, differences of 8-bit codes <= 255, half <= 2**29.
    codes: NDArray[np.int64] = zy + (
        (half + ma * (a.astype(np.int64) - za) + mb * (b.astype(np.int64) - zb)) >> shift
    )
    return codes


def _float_binary(op: str, function: np.ufunc, a: Float, b: Float) -> Float:
    need_float32(op, a=a, b=b)
    _check_broadcast(op, a, b)
    with np.errstate(all="ignore"):  # inf and NaN travel as IEEE 754 says
        y: Float = function(a, b)
    return y


def _check_broadcast(op: str, a: Codes, b: Codes) -> None:
    try:
        np.broadcast_shapes(a.shape, b.shape)
    except ValueError as error:
        raise ValueError(f"{op}: shapes must broadcast, got {a.shape} and {b.shape}") from error
