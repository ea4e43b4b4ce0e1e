"""Softmax, in float32 and on codes.

    y_i = f32(e_i / sum e),   e_i = Exp(x_i - max x),   the sum ascending from +0.0            (1)
    q   = quantize(Softmax(dequantize(q)))                 axis softmax = dequantize           (2)

TFLite has two of its own. A code below the largest one, M, by d stands for a factor exp(-d sx), and
there are 256 of them: a table t, made once and carried in the file, for exp is not the same
everywhere.

    float_table        t[d] = f32(exp(-d sx)),  e_i = t[M - q_i],  r = f32(1 / f32(sum e * sy))
                       q    = clamp(round_half_away(f32(e_i * r)) + zy)                        (3)

    float_table_quotient   c = floor(f32(1 / sy))
                       q    = clamp(round_half_even(f64(e_i * c) / sum e) + zy)                (5)

    fixed_point_table  t[d] int32, 31 bits of exp(-d sx);   S = sum RDBPOT(t[M - q_i], 12)
                       c = leading zeros of S,  R = 1/(1+x) of (S 2**c - 2**31), fixed point
                       q    = clamp(RDBPOT(SRDHM(R, t[M - q_i]), 35 - c) + qmin)               (4)

The sums of (3) and (5) ascend from +0.0, one rounding to float32 each; the product and the quotient
of (5), onnxruntime's, are in float64, and its table is as large as n elements leave room for. sy of
(4) is 1/256 and zy is qmin. Of int16 codes ``fixed_point_table`` is another arithmetic, with a
table of 65536: :mod:`refquant.ops.softmax_int16`.

Source: ``docs/spec/operators.md`` §1 and §4; ``Exp`` is :func:`refquant.numerics.elementary.exp`;
TFLite ``optimized/optimized_ops.h`` for (3), ``reference/softmax.h`` for (4).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats import affine
from refquant.formats.affine import QParams
from refquant.numerics import elementary
from refquant.numerics.dot import sum_f32
from refquant.numerics.fixedpoint import quantize_multiplier, rounding_divide_by_pot, srdhm
from refquant.numerics.gemmlowp import exp_on_negative_values, one_over_one_plus_x
from refquant.numerics.ranges import dtype_range
from refquant.numerics.rounding import round_half_away
from refquant.ops.rescale import clamp_codes, need_float32, scalar_parameters
from refquant.ops.softmax_int16 import shares_int16

__all__ = ["TABLES", "quotient_table", "softmax_f32", "softmax_quantized", "softmax_table"]

TABLES = ("float_table", "float_table_quotient", "fixed_point_table")
"""The values of the axis ``softmax`` that take a table."""

Float = NDArray[np.float32]
Codes = NDArray[Any]


def softmax_f32(x: Float, *, axis: int = -1) -> Float:
    """Return eq. (1) along ``axis``; a NaN makes its row NaN.

    >>> softmax_f32(np.array([[0.0, 0.0], [0.0, -200.0]], np.float32)).tolist()
    [[0.5, 0.5], [1.0, 0.0]]
    """
    need_float32("Softmax", x=x)
    if not -x.ndim <= axis < x.ndim:
        raise ValueError(
            f"Softmax: attribute axis must be in [{-x.ndim}, {x.ndim - 1}], got {axis}"
        )
    return elementary.softmax(x, axis=axis)


def softmax_quantized(
    q: Codes,
    table: Codes | None = None,
    *,
    x_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    axis: int = -1,
) -> Codes:
    """Return the codes of eq. (2), or with a ``table`` (256,) those of eqs. (3) to (5).

    Of int16 codes the ``table`` is (65536,).

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> unit = QParams(scale=np.float32(1 / 256), zero_point=np.int32(-128), block_shape=None,
    ...                dtype="int8")
    >>> q = np.array([[5, 5]], np.int8)
    >>> softmax_quantized(q, x_qparams=one, y_qparams=unit, contract=preset("onnx")).tolist()
    [[0, 0]]
    >>> tflite = preset("tflite_reference")
    >>> softmax_quantized(q, softmax_table(one, beta=1.0, contract=tflite), x_qparams=one,
    ...                   y_qparams=unit, contract=tflite).tolist()
    [[0, 0]]
    """
    if contract.softmax == "unspecified" or (table is None) == (contract.softmax in TABLES):
        raise ValueError(
            f"Softmax: contract {contract.name!r} leaves a quantized Softmax {contract.softmax!r}, "
            f"and it has {'no' if table is None else 'a'} table; dequantize before it"
        )
    scalar_parameters("Softmax", "x", x_qparams)
    sy, zy = scalar_parameters("Softmax", "y", y_qparams)
    if table is None:
        real = softmax_f32(affine.dequantize(q, x_qparams), axis=axis)
        return affine.quantize(real, y_qparams, contract=contract)
    wide = q.astype(np.int64)
    e: Codes = table[wide.max(axis=axis, keepdims=True, initial=-(1 << 15)) - wide]
    if contract.softmax == "float_table":
        codes = _from_floats(e, sy, axis) + zy
    elif contract.softmax == "float_table_quotient":
        codes = _from_quotients(e, sy, axis) + zy
    elif q.dtype == np.int16:
        codes = shares_int16(e, axis)
    else:
        codes = _from_fixed_point(e, axis) + dtype_range(y_qparams.dtype)[0]
    return clamp_codes("Softmax", codes, y_qparams.dtype, None, None)


def softmax_table(x_qparams: QParams, *, beta: float, contract: Contract) -> Codes:
    """Return t of eq. (3), float32, or of eq. (4), int32: 256 entries, the first is 1.

    ``beta`` multiplies x. The exponentials of eq. (3) are those of float64, rounded. In eq. (4)
    sx * beta is at least 2**-26; entries that TFLite leaves out are 0.

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> softmax_table(one, beta=1.0, contract=preset("tflite_builtin"))[:2].tolist()
    [1.0, 0.3678794503211975]
    >>> softmax_table(one, beta=1.0, contract=preset("tflite_reference"))[:2].tolist()
    [2147483647, 790015308]
    """
    scale, _ = scalar_parameters("Softmax", "x", x_qparams)
    difference = np.arange(256)
    if contract.softmax == "float_table":
        with np.errstate(under="ignore"):
            x = (-scale * np.float32(beta)) * difference.astype(np.float32)
            return np.exp(x.astype(np.float64)).astype(np.float32)
    if contract.softmax != "fixed_point_table":
        raise ValueError(f"contract {contract.name!r} has no table for Softmax")
    step = min(float(beta) * float(scale) * 2.0**26, 2.0**31 - 1)
    if not step > 1:
        raise ValueError(f"Softmax: beta * scale must be above 2**-26, got {beta} * {scale}")
    m, shift = (int(v) for v in quantize_multiplier(step))
    seen = difference <= (31 << 26) >> shift
    power = srdhm(-np.where(seen, difference, 0) << shift, m)
    return np.where(seen, exp_on_negative_values(power, integer_bits=5), 0).astype(np.int32)


def _from_floats(e: Float, sy: np.float32, axis: int) -> NDArray[np.int64]:
    """Eq. (3) without zy, cut off far beyond the clamp."""
    with np.errstate(over="ignore", under="ignore"):
        r = np.float32(1) / (sum_f32(e, axis) * sy)
        real = round_half_away(e * r)
    return np.asarray(np.minimum(real, np.float32(1 << 16)), np.int64)


def quotient_table(x_qparams: QParams, *, length: int) -> Float:
    """Return t of eq. (5) for sums of ``length`` elements: f32(exp(L - 5 - d sx)).

    L is the float32 logarithm of the largest float32 over ``length``; below 5 it counts as 5.

    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> table = quotient_table(one, length=2)
    >>> table.shape, bool((table[1:] <= table[:-1]).all()), float(np.log(table[0])) > 83
    ((256,), True, True)
    """
    scale, _ = scalar_parameters("Softmax", "x", x_qparams)
    room = np.log(np.float32(np.finfo(np.float32).max) / np.float32(length))
    shift = max(0.0, float(np.float32(room)) - 5.0) / float(scale)
    with np.errstate(under="ignore", over="ignore"):
        return np.asarray(np.exp((shift - np.arange(256)) * float(scale)), np.float32)


def _from_quotients(e: Float, sy: np.float32, axis: int) -> NDArray[np.int64]:
    """Eq. (5) without zy, cut off far beyond the clamp."""
    with np.errstate(over="ignore", under="ignore"):
        steps = np.float64(np.floor(np.float32(1) / sy))
        real = np.rint(e.astype(np.float64) * steps / sum_f32(e, axis).astype(np.float64))
    return np.asarray(np.minimum(real, 65536.0), np.int64)


def _from_fixed_point(e: NDArray[np.int32], axis: int) -> NDArray[np.int64]:
    """Eq. (4) without qmin. S has 12 integer bits, so it is an int32 for up to 4095 elements.

    Where S is 512 or more TFLite stops the process; all quotients are below 1/512 there, code 0.
    """
    total = rounding_divide_by_pot(e, 12).astype(np.int64).sum(axis=axis, keepdims=True)
    zeros = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    r = one_over_one_plus_x((total << zeros) - (1 << 31))
    shares = rounding_divide_by_pot(srdhm(r, e), np.minimum(35 - zeros, 31))
    return np.where(zeros < 4, 0, shares).astype(np.int64)
