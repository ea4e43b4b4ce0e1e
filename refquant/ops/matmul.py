"""Matrix products: ``MatMul`` and ``Gemm`` in float32, quantized, and dynamically quantized.

    matmul_f32, gemm_f32       y = f32 products and sums, k ascending (Gemm: + bias)           (1)
    matmul_quantized           q_y = clamp(requantize(acc, sx * sw[n] / sy) + zy)              (2)
    matmul_integer             y = acc, as int32                                               (3)
    matmul_integer_to_float    y = f32(f32(f32(acc) * f32(sx * sw[n])) + bias[n])              (4)

with ``acc`` of :mod:`refquant.ops.accumulate`, eq. (1).  ``x`` is (..., M, K), ``w`` (..., K, N),
leading axes broadcast; ``Gemm`` is the 2-D case whose ``w`` may be stored as (N, K), ``trans_b``.

Left out: ``alpha``, ``beta`` and ``transA`` of ``Gemm`` (fold them into the weights), vectors.

Source: ``docs/spec/operators.md`` §1, §4 and §5; ONNX ``Gemm``, ``MatMul``, ``QLinearMatMul``,
``MatMulInteger``.
"""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.numerics import dot
from refquant.ops.accumulate import Acc, check_matmul, int32_accumulator, matmul_accumulate
from refquant.ops.rescale import (
    add_bias,
    channel_parameters,
    need_float32,
    output_multiplier,
    rescale,
    scalar_parameters,
    to_float,
)

__all__ = [
    "gemm_f32",
    "gemm_quantized",
    "matmul_f32",
    "matmul_integer",
    "matmul_integer_to_float",
    "matmul_quantized",
]

Float = NDArray[np.float32]
Codes = NDArray[Any]


def matmul_f32(x: Float, w: Float, *, sums: str = "ordered") -> Float:
    """Return the float32 product (..., M, K) x (..., K, N): eq. (1).

    ``sums``: see `refquant.numerics.dot`.

    >>> matmul_f32(np.array([[1, 2]], np.float32), np.array([[3], [4]], np.float32)).tolist()
    [[11.0]]
    """
    need_float32("MatMul", x=x, w=w)
    check_matmul("MatMul", x, w)
    with np.errstate(over="ignore", invalid="ignore"):  # inf and NaN travel as IEEE 754 says
        return dot.matmul_f32(x, w, sums=sums)


def gemm_f32(
    x: Float, w: Float, bias: Float | None = None, *, trans_b: int = 0, sums: str = "ordered"
) -> Float:
    """Return the float32 ``Gemm`` (M, K) x (K, N) + bias [N]: eq. (1); ``w`` (N, K) if ``trans_b``.

    ``sums``: see `refquant.numerics.dot`.

    >>> x, w = np.array([[1, 2]], np.float32), np.array([[3, 4]], np.float32)
    >>> gemm_f32(x, w, np.array([0.5], np.float32), trans_b=1).tolist()
    [[11.5]]
    """
    need_float32("Gemm", x=x, w=w)
    w = _untranspose(x, w, trans_b)
    check_matmul("Gemm", x, w)
    with np.errstate(over="ignore", invalid="ignore"):
        y = dot.matmul_f32(x, w, sums=sums)
    return add_bias("Gemm", y, bias, axis=-1)


def matmul_quantized(
    x: Codes,
    w: Codes,
    bias: NDArray[np.int32] | None = None,
    *,
    x_qparams: QParams,
    w_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of the quantized product: eq. (2).

    ``w`` (..., K, N) is quantized per tensor or per column; ``bias`` [N] is int32 in units of
    sx * sw[n].  ``clamp_min`` and ``clamp_max`` are codes of y (a fused ``Relu`` or ``Clip``).

    >>> from refquant.contracts import preset
    >>> half = QParams(scale=np.float32(0.5), zero_point=np.int32(1), block_shape=None,
    ...                dtype="int8")
    >>> x, w = np.array([[3, 5]], np.int8), np.array([[2], [4]], np.int8)
    >>> matmul_quantized(x, w, x_qparams=half, w_qparams=half, y_qparams=half,
    ...                  contract=preset("onnx")).tolist()
    [[8]]
    """
    sx, zx = scalar_parameters("MatMul", "x", x_qparams)
    sy, _ = scalar_parameters("MatMul", "y", y_qparams)
    sw, zw = channel_parameters("MatMul", w_qparams, w.shape, axis=-1)
    acc = matmul_accumulate(x, w, x_zero_point=zx, w_zero_point=zw)
    acc = add_bias("MatMul", acc, bias, axis=-1)
    return rescale(
        "MatMul",
        acc,
        output_multiplier(sx, sw, sy, contract=contract),  # (1,) or (N,)
        y_qparams=y_qparams,
        contract=contract,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def gemm_quantized(
    x: Codes,
    w: Codes,
    bias: NDArray[np.int32] | None = None,
    *,
    trans_b: int = 0,
    x_qparams: QParams,
    w_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of the quantized ``Gemm``: :func:`matmul_quantized`, eq. (2), in 2-D.

    With ``trans_b`` the codes are (N, K) and their parameters those of (N, K): both are turned.

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> rows = QParams(scale=np.array([[1], [2]], np.float32), block_shape=(1, 3), dtype="int8",
    ...                zero_point=np.zeros((2, 1), np.int32))
    >>> w = np.array([[1, 2, 3], [4, 5, 6]], np.int8)
    >>> gemm_quantized(np.array([[1, 1, 1]], np.int8), w, trans_b=1, x_qparams=one,
    ...                w_qparams=rows, y_qparams=one, contract=preset("onnx")).tolist()
    [[6, 30]]
    """
    turned = _untranspose(x, w, trans_b)
    if trans_b and w_qparams.block_shape is not None:
        channel_parameters("Gemm", w_qparams, w.shape, axis=0)  # refuse before turning
        w_qparams = replace(
            w_qparams,
            scale=w_qparams.scale.T,
            zero_point=w_qparams.zero_point.T,
            block_shape=w_qparams.block_shape[::-1],
        )
    return matmul_quantized(
        x,
        turned,
        bias,
        x_qparams=x_qparams,
        w_qparams=w_qparams,
        y_qparams=y_qparams,
        contract=contract,
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def matmul_integer(
    x: Codes, w: Codes, *, x_zero_point: ArrayLike = 0, w_zero_point: ArrayLike = 0
) -> NDArray[np.int32]:
    """Return the accumulator of ONNX ``MatMulInteger``: eq. (3).

    Zero points: one number, or one a row of ``x`` / one a column of ``w``.  A sum outside int32
    is an error.

    >>> matmul_integer(np.array([[1], [2]], np.uint8), np.array([[10]], np.int8),
    ...                x_zero_point=[1, 0]).tolist()
    [[0], [20]]
    """
    acc = matmul_accumulate(x, w, x_zero_point=x_zero_point, w_zero_point=w_zero_point)
    return int32_accumulator(acc, op="MatMulInteger")


def matmul_integer_to_float(
    x: Codes,
    w: Codes,
    bias: Float | None = None,
    *,
    x_scale: ArrayLike,
    x_zero_point: ArrayLike,
    w_qparams: QParams,
) -> Float:
    """Return the float32 result of a dynamically quantized product: eq. (4).

    ``x``, ``x_scale`` and ``x_zero_point`` are the outputs of ``DynamicQuantizeLinear``;
    the zero point of the weights is 0; without ``bias`` nothing is added.

    >>> w_q = QParams(scale=np.float32(2), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> matmul_integer_to_float(np.array([[7]], np.uint8), np.array([[3]], np.int8),
    ...                         x_scale=0.5, x_zero_point=5, w_qparams=w_q).tolist()
    [[6.0]]
    """
    sw, zw = channel_parameters("MatMulIntegerToFloat", w_qparams, w.shape, axis=-1)
    acc: Acc = matmul_accumulate(x, w, x_zero_point=x_zero_point)
    y = to_float("MatMulIntegerToFloat", acc, x_scale, sw, zw, axis=-1)
    return add_bias("MatMulIntegerToFloat", y, bias, axis=-1)


def _untranspose(x: Codes, w: Codes, trans_b: int) -> Codes:
    if trans_b not in (0, 1):
        raise ValueError(f"Gemm: attribute transB must be 0 or 1, got {trans_b!r}")
    if x.ndim != 2 or w.ndim != 2:
        raise ValueError(f"Gemm: operands must be 2-D, got {x.shape} and {w.shape}; use MatMul")
    return w.T if trans_b else w
