"""Integer accumulators: the exact sum inside every quantized dot product.

With codes x, w and zero points zx, zw, the accumulator of output channel c is the integer

    acc[c] = sum_k (x[k] - zx) * (w[k, c] - zw[c]) + bias[c].                              (1)

It is a mathematical sum: it does not wrap and does not depend on the order.  A runtime keeps it
in int32, which is the same number provided that no input can push it out:

    max|x - zx| * sum_k |w[k, c] - zw[c]| + |bias[c]|  <=  2**31 - 1.                      (2)

With 16-bit codes x and a rescaling that takes them, accumulators have 48 bits, in int64, and the
right side is 2**47 - 1.
:func:`prove_accumulator` checks (2) over the whole range of x's dtype, so partial sums in any
order fit too.

Padding of a convolution is the code zx, whose real value is 0: it contributes nothing to (1).

Source: ``docs/spec/operators.md`` §3; zero points as ONNX ``MatMulInteger`` and ``ConvInteger``.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.numerics.dot import matmul_exact
from refquant.numerics.ranges import dtype_range
from refquant.ops.windows import convolve, plan_conv

__all__ = [
    "AccumulatorOverflowError",
    "accumulator_bound",
    "check_matmul",
    "conv_accumulate",
    "int32_accumulator",
    "matmul_accumulate",
    "prove_accumulator",
]

Codes = NDArray[Any]
Acc = NDArray[np.int64]

_INT32_MAX = 2**31 - 1
_PIECE = 1 << 20  # elements


class AccumulatorOverflowError(ValueError):
    """An int32 accumulator can overflow: the layer is refused before it computes."""


def conv_accumulate(
    x: Codes,
    w: Codes,
    *,
    x_zero_point: ArrayLike = 0,
    w_zero_point: ArrayLike = 0,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
) -> Acc:
    """Return eq. (1) without bias for codes ``x`` (N, C, spatial), ``w`` (M, C/group, kernel).

    ``x_zero_point`` is one number, ``w_zero_point`` one number or one an output channel.

    >>> x = np.array([[[3, 4, 5]]], np.uint8)
    >>> conv_accumulate(x, np.array([[[1, -1]]], np.int8), x_zero_point=3, pads=[1, 0]).tolist()
    [[[0, -1, -1]]]
    """
    _need_integers("Conv", x=x, w=w)
    window = plan_conv("Conv", x, w, strides=strides, pads=pads, dilations=dilations, group=group)
    zx = np.asarray(x_zero_point, np.int32)
    if zx.size != 1:
        raise ValueError(f"Conv: x_zero_point must be one number, got shape {zx.shape}")
    zw = np.asarray(w_zero_point, np.int32).reshape(-1)
    if zw.size not in (1, w.shape[0]):
        raise ValueError(
            f"Conv: w_zero_point must be one number or one an output channel ({w.shape[0]}), "
            f"got {zw.size}"
        )
    x_centred = x.astype(np.int32) - zx.reshape(())
    w_centred = w.astype(np.int32) - zw.reshape(-1, *(1,) * (w.ndim - 1))
    return convolve(x_centred, w_centred, window, group=group, dot=matmul_exact)


def matmul_accumulate(
    x: Codes, w: Codes, *, x_zero_point: ArrayLike = 0, w_zero_point: ArrayLike = 0
) -> Acc:
    """Return eq. (1) without bias for codes ``x`` (..., M, K), ``w`` (..., K, N).

    A zero point of x is one number, or one a row: ``[M]`` or ``(..., M, 1)``; of w one number, or
    one a column: ``[N]`` or ``(..., 1, N)``.  Leading axes broadcast.

    >>> matmul_accumulate(np.array([[4, 6]], np.uint8), np.array([[1], [2]], np.int8),
    ...                   x_zero_point=5).tolist()
    [[1]]
    """
    _need_integers("MatMul", x=x, w=w)
    check_matmul("MatMul", x, w)
    zx, zw = np.asarray(x_zero_point, np.int32), np.asarray(w_zero_point, np.int32)
    if zx.ndim == 1:  # subtle: [M] means one a row, so it must not broadcast along K
        zx = zx[:, None]
    for name, zero_point, codes, axis in (("x", zx, x, -1), ("w", zw, w, -2)):
        along_k = zero_point.ndim > 1 and zero_point.shape[axis] != 1
        if along_k or not _broadcasts_to(zero_point.shape, codes.shape):
            raise ValueError(
                f"MatMul: {name}_zero_point must be one number or one a "
                f"{'row' if name == 'x' else 'column'} of {codes.shape}, got {zero_point.shape}"
            )
    return matmul_exact(x.astype(np.int32) - zx, w.astype(np.int32) - zw)


def check_matmul(op: str, x: Codes, w: Codes) -> None:
    """Refuse operands that are not (..., M, K) and (..., K, N) with K, N >= 1.

    >>> check_matmul("MatMul", np.zeros((2, 3)), np.zeros((3, 1)))
    """
    if x.ndim < 2 or w.ndim < 2 or x.shape[-1] != w.shape[-2]:
        raise ValueError(
            f"{op}: operands must be (..., M, K) and (..., K, N), got {x.shape} and {w.shape}"
        )
    if x.shape[-1] < 1 or w.shape[-1] < 1:
        raise ValueError(f"{op}: K and N must be at least 1, got {x.shape} and {w.shape}")
    try:
        np.broadcast_shapes(x.shape[:-2], w.shape[:-2])
    except ValueError as error:
        raise ValueError(
            f"{op}: leading axes must broadcast, got {x.shape} and {w.shape}"
        ) from error


def int32_accumulator(acc: Acc, *, op: str) -> NDArray[np.int32]:
    """Return ``acc`` as int32, or raise if a value does not fit: nothing wraps here.

    >>> int32_accumulator(np.array([-5]), op="MatMulInteger").dtype.name
    'int32'
    """
    if acc.size and (acc.max() > _INT32_MAX or acc.min() < -_INT32_MAX - 1):
        raise AccumulatorOverflowError(
            f"{op}: the accumulator spans [{acc.min()}, {acc.max()}], outside int32; "
            f"use fewer products or smaller codes"
        )
    return acc.astype(np.int32)


def accumulator_bound(
    w: Codes,
    w_zero_point: ArrayLike,
    x_dtype: str,
    x_zero_point: int | None,
    bias: NDArray[np.int32] | None = None,
    *,
    channel_axis: int,
) -> NDArray[np.int64]:
    """Return the left side of eq. (2), one number an output channel.

    ``w_zero_point`` broadcasts against ``w``, or is one an output channel.
    ``x_zero_point`` ``None``: known at run time only, so ``|x - zx|`` may be the whole range.

    >>> accumulator_bound(np.array([[1, -2], [3, 4]], np.int8), 0, "int8", 0, channel_axis=0)
    array([384, 896])
    """
    qmin, qmax = dtype_range(x_dtype)
    reach = qmax - qmin if x_zero_point is None else max(qmax - x_zero_point, x_zero_point - qmin)
    zw = np.asarray(w_zero_point, np.int64)
    if zw.ndim == 1 and zw.size > 1:
        zw = zw.reshape([-1 if axis == channel_axis % w.ndim else 1 for axis in range(w.ndim)])
    bound = reach * _magnitudes(w, np.broadcast_to(zw, w.shape), channel_axis % w.ndim)
    if bias is not None:
        bound = bound + np.abs(bias.astype(np.int64)).reshape(-1)
    return bound


def _magnitudes(w: Codes, zw: NDArray[np.int64], axis: int) -> Acc:
    """Return sum |w - zw| of each channel, some channels at a time: int64 is eight times int8."""
    others = tuple(other for other in range(w.ndim) if other != axis)
    channels = w.shape[axis]
    step = max(1, _PIECE * channels // max(w.size, 1))
    total = np.zeros(channels, np.int64)
    for start in range(0, channels, step):
        piece = (*(slice(None),) * axis, slice(start, start + step))
        magnitude = np.abs(w[piece].astype(np.int64) - zw[piece])
        total[start : start + step] = magnitude.sum(axis=others, dtype=np.int64)
    return total


def prove_accumulator(
    w: Codes,
    w_zero_point: ArrayLike,
    x_dtype: str,
    x_zero_point: int | None,
    bias: NDArray[np.int32] | None = None,
    *,
    channel_axis: int,
    name: str,
    limit: int = _INT32_MAX,
) -> None:
    """Raise :class:`AccumulatorOverflowError` for the first channel of node ``name`` against (2).

    ``limit`` is the right side of (2).

    >>> prove_accumulator(np.ones((1, 9), np.int8), 0, "uint8", 0, channel_axis=0, name="conv")
    """
    bound = accumulator_bound(
        w, w_zero_point, x_dtype, x_zero_point, bias, channel_axis=channel_axis
    )
    for channel in np.flatnonzero(bound > limit):
        raise AccumulatorOverflowError(
            f"{name}: the int{limit.bit_length() + 1} accumulator of output channel {channel} can "
            f"reach {bound[channel]} > {limit}; split the layer, or use narrower weights"
        )


def _need_integers(op: str, **arrays: Codes) -> None:
    for name, array in arrays.items():
        if array.dtype.kind not in "iu":
            raise ValueError(f"{op}: {name} must hold integer codes, got dtype {array.dtype}")


def _broadcasts_to(shape: tuple[int, ...], target: tuple[int, ...]) -> bool:
    try:
        return np.broadcast_shapes(shape, target) == target
    except ValueError:
        return False
