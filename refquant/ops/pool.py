"""Pooling: the largest, or the mean, of each window.

    MaxPool      y = the largest element; padding never wins, NaN wins, of equals the first    (1)
    AveragePool  y = f32(sum / f32(n)), the sum ascending from +0.0                            (2)

n counts the elements of the window inside the input, or with ``count_include_pad`` all of it.
On codes ``MaxPool`` is (1) of the codes, and the average is by the axis ``average_pool``:

    float_multiplier  m = f32(sx / f32(sy * f32(n)))
                      q = clamp(round_half_even(f32(f32(sum(q - z)) * m)) + zy)                (3)
    half_away         q = clamp((a + n/2) / n if a > 0 else (a - n/2) / n),  a = sum(q)        (4)

    tosa_reciprocal   with k the least for which n <= 2^k, M = trunc((2^30 + 1) 2^k / n):
                      q = clamp(floor((sum(q - z) * M + 2^(29 + k)) / 2^(30 + k)) + zy)         (5)

(4) divides as C does, and needs equal parameters on both sides; (5) divides by multiplication, and
needs equal scales.  Padding that counts contributes the real 0: the code z.  Global pooling is the
window of the whole plane.

Left out: indices, ``ceil_mode``, ``dilations``, ``auto_pad``, windows that see only padding.

Source: ``docs/spec/operators.md`` §1 and §4; TFLite ``reference/integer_ops/pooling.h`` for (4);
TOSA specification, ``AVG_POOL2D`` and ``reciprocal_scale``, for (5).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams
from refquant.numerics.requantize import requantize
from refquant.ops.rescale import clamp_codes, need_float32, scalar_parameters
from refquant.ops.windows import Window, pad_spatial, plan_window, taps

__all__ = [
    "average_pool_f32",
    "average_pool_quantized",
    "global_average_pool_f32",
    "global_average_pool_quantized",
    "global_max_pool",
    "max_pool",
]

Float = NDArray[np.float32]
Codes = NDArray[Any]


def max_pool(
    x: Codes,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
) -> Codes:
    """Return the largest element of each window of ``x`` (N, C, spatial): eq. (1).

    Reals or codes (positive scale); the dtype stays.

    >>> x = np.array([[[1, 7, -2, -5]]], np.int8)
    >>> max_pool(x, kernel_shape=[2], strides=[2]).tolist()
    [[[7, -2]]]
    """
    window = _plan_pool("MaxPool", x, kernel_shape, strides, pads)
    lowest = -np.inf if x.dtype.kind == "f" else np.iinfo(x.dtype).min
    views = taps(pad_spatial(x, window, lowest), window)
    largest = next(views).copy()
    for view in views:
        wins = (view > largest) | (view != view)  # NaN is the only value unequal to itself
        np.copyto(largest, view, where=wins)
    return largest


def global_max_pool(x: Codes) -> Codes:
    """Return the largest element of each plane, (N, C, spatial) -> (N, C, 1, ...).

    >>> global_max_pool(np.array([[[1, 7, -2]]], np.int8)).tolist()
    [[[7]]]
    """
    return max_pool(x, kernel_shape=x.shape[2:])


def average_pool_f32(
    x: Float,
    *,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    count_include_pad: int = 0,
) -> Float:
    """Return the mean of each window of ``x`` (N, C, spatial): eq. (2).

    >>> x = np.array([[[1.0, 3.0, 8.0]]], np.float32)
    >>> average_pool_f32(x, kernel_shape=[2], pads=[1, 0]).tolist()
    [[[1.0, 2.0, 5.5]]]
    """
    need_float32("AveragePool", x=x)
    window = _plan_pool("AveragePool", x, kernel_shape, strides, pads)
    count = _count("AveragePool", x, window, count_include_pad)
    total: Float = np.zeros((*x.shape[:2], *window.output), np.float32)
    with np.errstate(over="ignore", invalid="ignore"):
        for view in taps(pad_spatial(x, window, 0.0), window):
            total += view
        return np.asarray(total / count.astype(np.float32), np.float32)


def global_average_pool_f32(x: Float) -> Float:
    """Return the mean of each plane, (N, C, spatial) -> (N, C, 1, ...).

    >>> global_average_pool_f32(np.array([[[1.0, 2.0]]], np.float32)).tolist()
    [[[1.5]]]
    """
    return average_pool_f32(x, kernel_shape=x.shape[2:])


def average_pool_quantized(
    q: Codes,
    *,
    x_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    count_include_pad: int = 0,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of the mean of each window: eq. (3) or (4).

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> q = np.array([[[2, 3, -2, -3]]], np.int8)
    >>> [average_pool_quantized(q, x_qparams=one, y_qparams=one, contract=preset(name),
    ...      kernel_shape=[2], strides=[2]).tolist() for name in ("onnx", "tflite_reference")]
    [[[[2, -2]]], [[[3, -3]]]]
    """
    window = _plan_pool("AveragePool", q, kernel_shape, strides, pads)
    count = _count("AveragePool", q, window, count_include_pad)
    sx, zx = scalar_parameters("AveragePool", "x", x_qparams)
    sy, zy = scalar_parameters("AveragePool", "y", y_qparams)
    total = np.zeros((*q.shape[:2], *window.output), np.int64)
    for view in taps(pad_spatial(q.astype(np.int64) - zx, window, 0), window):
        total = total + view
    if contract.average_pool == "float_multiplier":
        with np.errstate(over="ignore", under="ignore"):
            multiplier = sx / (sy * count.astype(np.float32))
        codes = requantize(total, multiplier, mode="float_rne") + zy
    elif contract.average_pool == "half_away":
        if (sx, zx, x_qparams.dtype) != (sy, zy, y_qparams.dtype):
            raise ValueError(
                f"AveragePool: half_away needs equal parameters of input and output, got "
                f"{(float(sx), zx, x_qparams.dtype)} and {(float(sy), zy, y_qparams.dtype)}"
            )
        codes = _mean_half_away(total + zx * count, count)  # sum of raw codes again
    elif contract.average_pool == "tosa_reciprocal":
        codes = _mean_by_reciprocal(total, count, sx, sy) + zy
    else:  # unspecified
        raise ValueError(
            f"AveragePool: contract {contract.name!r} leaves a quantized AveragePool "
            f"{contract.average_pool}; dequantize before it"
        )
    return clamp_codes("AveragePool", codes, y_qparams.dtype, clamp_min, clamp_max)


def global_average_pool_quantized(
    q: Codes,
    *,
    x_qparams: QParams,
    y_qparams: QParams,
    contract: Contract,
    clamp_min: int | None = None,
    clamp_max: int | None = None,
) -> Codes:
    """Return the codes of the mean of each plane, (N, C, spatial) -> (N, C, 1, ...).

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> global_average_pool_quantized(np.array([[[2, 3, 4]]], np.int8), x_qparams=one,
    ...                               y_qparams=one, contract=preset("onnx")).tolist()
    [[[3]]]
    """
    return average_pool_quantized(
        q,
        x_qparams=x_qparams,
        y_qparams=y_qparams,
        contract=contract,
        kernel_shape=q.shape[2:],
        clamp_min=clamp_min,
        clamp_max=clamp_max,
    )


def _mean_by_reciprocal(
    total: NDArray[Any], count: NDArray[Any], sx: np.float32, sy: np.float32
) -> NDArray[np.int64]:
    """Return eq. (5) without the clamp and zy; counts are below 2^16, sums fit int32."""
    if sx != sy:
        raise ValueError(
            f"AveragePool: tosa_reciprocal needs equal scales of input and output, got "
            f"{float(sx)} and {float(sy)}"
        )
    n = np.asarray(count, np.int64)
    k = np.ceil(np.log2(n)).astype(np.int64)  # exact: log2 of a power of two is an integer
    multiplier = (((1 << 30) + 1) << k) // n
    return np.asarray((total * multiplier + (1 << (29 + k))) >> (30 + k), np.int64)


def _mean_half_away(total: NDArray[np.int64], count: NDArray[np.int64]) -> NDArray[np.int64]:
    """Eq. (4); C division truncates, so divide magnitudes and put the sign back."""
    magnitude = (np.abs(total) + count // 2) // count
    mean: NDArray[np.int64] = np.sign(total) * magnitude
    return mean


def _count(op: str, x: Codes, window: Window, count_include_pad: int) -> NDArray[np.int64]:
    """Return n of each output position, as (1, 1, output)."""
    if count_include_pad not in (0, 1):
        raise ValueError(
            f"{op}: attribute count_include_pad must be 0 or 1, got {count_include_pad!r}"
        )
    ones = np.ones((1, 1, *x.shape[2:]), np.int64)
    views = taps(pad_spatial(ones, window, count_include_pad), window)
    count: NDArray[np.int64] = np.sum(np.stack(list(views)), axis=0)
    return count


def _plan_pool(
    op: str,
    x: Codes,
    kernel_shape: Sequence[int],
    strides: Sequence[int] | None,
    pads: Sequence[int] | None,
) -> Window:
    if x.ndim not in (3, 4) or x.shape[1] < 1:
        raise ValueError(
            f"{op}: x must be (N, C, L) or (N, C, H, W) with at least one channel, got {x.shape}"
        )
    window = plan_window(
        op, x.shape[2:], kernel=kernel_shape, strides=strides, pads=pads, dilations=None
    )
    for axis, size in enumerate(window.kernel):
        if max(window.begins[axis], window.ends[axis]) >= size:
            raise ValueError(
                f"{op}: attribute pads must be smaller than kernel_shape on every axis (a window "
                f"would see only padding), got pads {list(pads or ())} and kernel {window.kernel}"
            )
    return window
