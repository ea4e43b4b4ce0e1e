r"""Dynamic-range layers: float32 in and out, int8 weights, codes only in between.

A model that was converted without data has int8 weights and float32 activations. Its kernels
quantize what comes in when it comes in, multiply codes, and return to reals at once. What is
quantized together, a row of a matrix or a whole image, has one scale s and zero point z::

    x ---- lo, hi ----> s, I, z
    x ---- x * I -----> codes ----> acc = sum (q - z) w ----> s, sw[c], bias ----> y

With a = max \|x\|, lo = min(0, x), hi = max(0, x), each operation rounded to float32 unless it says
otherwise, s, its inverse I and z are, for ``symmetric``,

.. math::

    s = a / 127, \quad I = 127 / a, \quad z = 0, \quad q \in [-127, 127]                    \tag{1}

else, by the contract's axis ``inverse``, ``of_scale`` (TFLite) or ``stored`` (XNNPACK),

.. math::

    d = (hi - lo) /_{64}\, 255, \quad s = f32(d), \quad I = 1 / s, \quad
    z = \mathrm{round\_half\_away}(-128 - lo / d \ \text{or}\ 127 - hi / d)                 \tag{2}

.. math::

    I = 255 / (hi - lo), \quad s = 1 / I, \quad
    z = \mathrm{round\_half\_even}(-128 - lo\, I \ \text{or}\ 127 - hi\, I)                 \tag{3}

where "or" takes the end that sums smaller terms, and z is clamped to [-128, 127]. Nothing but zeros
has s = I = 1, z = 0. Back to reals, by the axis ``requantize`` (p = f32(acc)):

.. math::

    y = p\,(s\, s_w) + b, \qquad y = (p\, s_w)\, s + b, \qquad y = \mathrm{fma}(p\, s, s_w, b)
                                                                                            \tag{4}

``float32_of_scales``, ``float32_weight_first``, ``float32_input_first_fused``;
``float32_weight_first_by_four`` is the second in whole groups of four channels, and
(p s) sw + b in the channels that are left.

NaN has no say in a range and the contract's code. An infinity makes s infinite and I = 0: y is then
infinite or NaN. Left out: int4 weights, sparse weights, zero points of weights.

References
----------
LiteRT ``kernels/internal/optimized/neon_tensor_utils.cc`` (1, 2), ``kernels/conv.cc``,
``fully_connected.cc``, ``depthwise_conv.cc``; XNNPACK ``src/xnnpack/quantization.h`` (3),
``src/qd8-f32-qc8w-gemm/``; ``docs/spec/operators.md`` section 11 (normative).
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams, quantize
from refquant.numerics.fused import fused_multiply_add
from refquant.numerics.rounding import round_half_away, round_half_even
from refquant.ops.accumulate import conv_accumulate, int32_accumulator, matmul_accumulate
from refquant.ops.rescale import add_bias, channel_parameters, need_float32

__all__ = ["ORDERS", "Rows", "conv_dynamic_range", "matmul_dynamic_range", "quantize_rows"]

Float = NDArray[np.float32]
Codes = NDArray[Any]
Rows = tuple[Codes, Float, NDArray[np.int32]]

ORDERS = (
    *("float32_of_scales", "float32_weight_first", "float32_weight_first_by_four"),
    "float32_input_first_fused",
)
"""The values of ``requantize`` that end in reals: eq. (4)."""

_ONE, _ZERO = np.float32(1), np.float32(0)


def quantize_rows(x: Float, *, symmetric: bool, contract: Contract) -> Rows:
    """Return codes (int16, less their zero point), scales, zero points of the rows of ``x`` (R, K).

    >>> from refquant.contracts import preset
    >>> x = np.array([[-1.0, 0.5, 2.0], [0.0, 0.0, 0.0]], np.float32)
    >>> codes, scale, zero_point = quantize_rows(x, symmetric=True,
    ...                                          contract=preset("tflite_hybrid"))
    >>> codes.tolist(), (scale * 127).tolist(), zero_point.tolist()
    ([[-64, 32, 127], [0, 0, 0]], [2.0, 127.0], [0, 0])
    """
    low = np.fmin.reduce(x, axis=1, initial=_ZERO)  # fmin and fmax ignore NaN
    high = np.fmax.reduce(x, axis=1, initial=_ZERO)
    with np.errstate(over="ignore", under="ignore", invalid="ignore", divide="ignore"):
        if symmetric:
            scale, inverse, zero = _symmetric(np.maximum(-low, high))
        elif contract.inverse == "stored":
            scale, inverse, zero = _inverse_first(low, high)
        else:
            scale, inverse, zero = _scale_first(low, high)
        steps = np.asarray(x * inverse[:, None], np.float32)
    codes = np.empty(x.shape, np.int16)
    for z in np.unique(zero).tolist():
        # x * I is done: what is left of quantization is that of a ruler with s = 1
        ruler = QParams(_ONE, np.int32(z), None, "int8", narrow=symmetric)
        rows = zero == z
        codes[rows] = quantize(steps[rows], ruler, contract=contract).astype(np.int16) - z
    return codes, scale, zero


def _symmetric(edge: Float) -> tuple[Float, Float, NDArray[np.int32]]:
    """Eq. (1)."""
    some = edge != 0
    scale = np.where(some, edge / np.float32(127), _ONE)
    inverse = np.where(some, np.float32(127) / edge, _ONE)
    return scale, inverse, np.zeros(edge.shape, np.int32)


def _scale_first(low: Float, high: Float) -> tuple[Float, Float, NDArray[np.int32]]:
    """Eq. (2)."""
    some = low != high
    step = (high - low).astype(np.float64) / 255.0
    below, above = low.astype(np.float64) / step, high.astype(np.float64) / step
    nearer = 128.0 + np.abs(below) < 127.0 + np.abs(above)
    real = np.clip(np.where(nearer, -128.0 - below, 127.0 - above), -128, 127)
    scale: Float = np.where(some, step.astype(np.float32), _ONE)
    inverse = np.where(scale == 0, _ZERO, _ONE / scale)
    return scale, np.where(some, inverse, _ONE), _whole(round_half_away(real), some)


def _inverse_first(low: Float, high: Float) -> tuple[Float, Float, NDArray[np.int32]]:
    """Eq. (3)."""
    some = low != high
    inverse: Float = np.where(some, np.float32(255) / (high - low), _ONE)
    below, above = low * inverse, high * inverse
    nearer = (np.float32(-128) + below) + (np.float32(127) + above) > 0
    real = np.where(nearer, np.float32(-128) - below, np.float32(127) - above)
    real = np.clip(real, np.float32(-128), np.float32(127))
    scale: Float = _ONE / inverse
    return scale, inverse, _whole(round_half_even(real), some)


def _whole(real: NDArray[Any], some: NDArray[np.bool_]) -> NDArray[np.int32]:
    """Return zero points; one that is NaN (0 * inf) is the lowest code."""
    known = np.where(np.isnan(real), -128, real)
    return np.where(some, known, 0).astype(np.int32)


def matmul_dynamic_range(
    x: Float,
    w: Codes,
    bias: Float,
    *,
    w_qparams: QParams,
    symmetric: bool,
    contract: Contract,
) -> Float:
    """Return x (..., K) times w (K, N) + bias [N], each row of ``x`` quantized by itself: eq. (4).

    The zero point of the weights is 0; their scale is one, or one a column.

    >>> from refquant.contracts import preset
    >>> w_q = QParams(np.float32(0.5), np.int32(0), None, "int8")
    >>> x = np.array([[127.0, -1.0]], np.float32)
    >>> matmul_dynamic_range(x, np.array([[1], [2]], np.int8), np.array([3.0], np.float32),
    ...     w_qparams=w_q, symmetric=True, contract=preset("tflite_hybrid")).tolist()
    [[65.5]]
    """
    op = "MatMulDynamicRange"
    need_float32(op, x=x, bias=bias)
    scale, _ = channel_parameters(op, w_qparams, w.shape, axis=-1)
    codes, steps, _ = quantize_rows(
        x.reshape(-1, x.shape[-1]), symmetric=symmetric, contract=contract
    )
    acc = int32_accumulator(matmul_accumulate(codes, w), op=op)
    y = _to_reals(acc, steps, np.broadcast_to(scale, (w.shape[1],)), bias, contract)
    return y.reshape(*x.shape[:-1], w.shape[1])


def conv_dynamic_range(
    x: Float,
    w: Codes,
    bias: Float,
    *,
    w_qparams: QParams,
    symmetric: bool,
    contract: Contract,
    strides: Sequence[int] | None = None,
    pads: Sequence[int] | None = None,
    dilations: Sequence[int] | None = None,
    group: int = 1,
) -> Float:
    """Return the convolution of ``x`` (N, C, spatial), each sample quantized by itself: eq. (4).

    ``w`` (M, C/group, kernel) with zero point 0 and one scale, or one an output channel.

    >>> from refquant.contracts import preset
    >>> w_q = QParams(np.float32(2), np.int32(0), None, "int8")
    >>> x, w = np.array([[[127.0, 1.0]]], np.float32), np.array([[[3]]], np.int8)
    >>> conv_dynamic_range(x, w, np.array([1.0], np.float32), w_qparams=w_q, symmetric=True,
    ...                    contract=preset("tflite_hybrid")).tolist()
    [[[763.0, 7.0]]]
    """
    op = "ConvDynamicRange"
    need_float32(op, x=x, bias=bias)
    scale, _ = channel_parameters(op, w_qparams, w.shape, axis=0)
    rows, steps, _ = quantize_rows(
        x.reshape(x.shape[0], -1), symmetric=symmetric, contract=contract
    )
    window: dict[str, Any] = {"strides": strides, "pads": pads, "dilations": dilations}
    # codes are less their zero point, so padding is 0
    acc = conv_accumulate(rows.reshape(x.shape), w, group=group, **window)
    last = np.moveaxis(int32_accumulator(acc, op=op), 1, -1)
    flat = last.reshape(-1, w.shape[0])
    each = np.repeat(steps, flat.shape[0] // max(x.shape[0], 1))
    y = _to_reals(flat, each, np.broadcast_to(scale, (w.shape[0],)), bias, contract)
    return np.ascontiguousarray(np.moveaxis(y.reshape(last.shape), -1, 1))


def _to_reals(
    acc: NDArray[np.int32], s: Float, w_scale: Float, bias: Float, contract: Contract
) -> Float:
    """Eq. (4): ``acc`` (R, M), scales of rows ``s`` and of channels ``w_scale``."""
    p, order, rows = acc.astype(np.float32), contract.requantize, s[:, None]
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        if order == "float32_input_first_fused":
            return fused_multiply_add(p * rows, w_scale, bias)
        if order == "float32_of_scales":
            y = p * (rows * w_scale)
        elif order in ORDERS:
            y = (p * w_scale) * rows
            if order == "float32_weight_first_by_four":
                left = acc.shape[1] // 4 * 4
                y[:, left:] = (p[:, left:] * rows) * w_scale[left:]
        else:
            raise ValueError(
                f"contract {contract.name!r} has requantize {order!r}, which gives codes; a "
                f"dynamic-range layer takes one of {', '.join(ORDERS)}"
            )
    return add_bias("DynamicRange", y, bias, axis=-1)
