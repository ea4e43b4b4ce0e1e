"""Softmax, in float32 and on codes.

    y_i = f32(e_i / sum e),   e_i = Exp(x_i - max x),   the sum ascending from +0.0            (1)
    q   = quantize(Softmax(dequantize(q)))                 axis softmax = dequantize           (2)

Contracts with ``softmax = unspecified`` (TFLite's is a fixed-point algorithm of its own) refuse a
quantized ``Softmax``: dequantize before it.

Source: ``docs/spec/operators.md`` §1 and §4; ``Exp`` is :func:`refquant.numerics.elementary.exp`.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats import affine
from refquant.formats.affine import QParams
from refquant.numerics import elementary
from refquant.ops.rescale import need_float32, scalar_parameters

__all__ = ["softmax_f32", "softmax_quantized"]

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
    q: Codes, *, x_qparams: QParams, y_qparams: QParams, contract: Contract, axis: int = -1
) -> Codes:
    """Return the codes of eq. (2).

    >>> from refquant.contracts import preset
    >>> one = QParams(scale=np.float32(1), zero_point=np.int32(0), block_shape=None, dtype="int8")
    >>> unit = QParams(scale=np.float32(1 / 256), zero_point=np.int32(-128), block_shape=None,
    ...                dtype="int8")
    >>> softmax_quantized(np.array([[5, 5]], np.int8), x_qparams=one, y_qparams=unit,
    ...                   contract=preset("onnx")).tolist()
    [[0, 0]]
    """
    if contract.softmax != "dequantize":
        raise ValueError(
            f"Softmax: contract {contract.name!r} leaves a quantized Softmax "
            f"{contract.softmax!r}; dequantize before it"
        )
    scalar_parameters("Softmax", "x", x_qparams)
    scalar_parameters("Softmax", "y", y_qparams)
    real = softmax_f32(affine.dequantize(q, x_qparams), axis=axis)
    return affine.quantize(real, y_qparams, contract=contract)
