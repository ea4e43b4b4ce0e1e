"""QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: the doors between reals and codes.

The first two are :mod:`refquant.formats.affine` under their ONNX names.  The third chooses the
parameters of one sample from the sample itself, as uint8 and with 0.0 in the range:

    lo = min(0, x...),  hi = max(0, x...)                              NaN is ignored          (1)
    s  = f32(f32(hi - lo) / 255)                                       s = 0  ->  s = 1, z = 0 (2)
    z  = clamp(round_half_even(f32(0 - f32(lo / s))), 0, 255)          NaN  ->  0              (3)

Infinite values make s infinite: then all finite values have the code z.  It has a meaning, so it
is computed; it is hardly ever what you want.

Source: ``docs/spec/operators.md`` §2; ONNX ``DynamicQuantizeLinear``, which says nothing about
s = 0, NaN and empty inputs (implementations differ: 1/255, 1.0 and 0.0 have been seen for s).
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats import affine
from refquant.formats.affine import QParams
from refquant.numerics.rounding import round_half_even
from refquant.ops.rescale import need_float32

__all__ = ["dequantize_linear", "dynamic_quantize_linear", "quantize_linear"]

Float = NDArray[np.float32]
Codes = NDArray[Any]

_SMALLEST_NORMAL = 2.0**-126


def quantize_linear(x: Float, qparams: QParams, contract: Contract) -> Codes:
    """Return the codes of ``x`` under ``contract``.

    >>> from refquant.contracts import preset
    >>> half = QParams(scale=np.float32(0.5), zero_point=np.int32(1), block_shape=None,
    ...                dtype="int8")
    >>> quantize_linear(np.array([0.0, 0.75, 99.0], np.float32), half, preset("onnx")).tolist()
    [1, 3, 127]
    """
    need_float32("QuantizeLinear", x=x)
    return affine.quantize(x, qparams, contract=contract)


def dequantize_linear(q: Codes, qparams: QParams) -> Float:
    """Return the reals of the codes ``q``: f32(f32(q - z) * s).

    >>> half = QParams(scale=np.float32(0.5), zero_point=np.int32(1), block_shape=None,
    ...                dtype="int8")
    >>> dequantize_linear(np.array([1, 3], np.int8), half).tolist()
    [0.0, 1.0]
    """
    return affine.dequantize(q, qparams)


def dynamic_quantize_linear(
    x: Float, contract: Contract
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.uint8]]:
    """Return ``(codes, scale, zero_point)`` of one sample; scale and zero point of shape ().

    An empty ``x`` has s = 1 and z = 0; NaN becomes what the contract says.

    >>> from refquant.contracts import preset
    >>> x = np.array([-1.0, 0.0, 1.55], np.float32)
    >>> codes, scale, zero_point = dynamic_quantize_linear(x, preset("onnx"))
    >>> codes.tolist(), round(float(scale), 4), int(zero_point)
    ([0, 100, 255], 0.01, 100)
    """
    need_float32("DynamicQuantizeLinear", x=x)
    zero = np.float32(0)
    low = np.fmin.reduce(x, axis=None, initial=zero)  # fmin and fmax ignore NaN
    high = np.fmax.reduce(x, axis=None, initial=zero)
    scale, zero_point = np.float32(1), 0
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        step = np.float32(np.float32(high - low) / np.float32(255))
        if step != 0:
            scale = step
            real_zero = float(round_half_even(np.float32(zero - np.float32(low / step))))
            zero_point = 0 if np.isnan(real_zero) else int(min(max(real_zero, 0.0), 255.0))
    codes = _quantize_uint8(x, scale, zero_point, contract)
    return codes, np.asarray(scale), np.asarray(zero_point, np.uint8)


def _quantize_uint8(x: Float, scale: np.float32, zero_point: int, contract: Contract) -> Codes:
    """Quantize with any scale > 0; :class:`QParams` itself refuses an infinite or subnormal one."""

    def quantize(values: Float, step: float) -> Codes:
        qparams = QParams(np.float32(step), np.int32(zero_point), None, "uint8")
        return affine.quantize(values, qparams, contract=contract)

    if _SMALLEST_NORMAL <= scale < np.inf:
        return quantize(x, float(scale))
    if contract.scale_op == "divide_f64" and scale < np.inf:
        # Both factors are exact, so the quotient is the same and no longer subnormal.
        return quantize(x * np.float32(2.0**64), float(scale) * 2.0**64)
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        reciprocal = contract.scale_op == "reciprocal_f32"
        steps = x * (np.float32(1) / scale) if reciprocal else x / scale
    return quantize(steps, 1.0)  # dividing by 1 changes nothing, whatever the scale_op
