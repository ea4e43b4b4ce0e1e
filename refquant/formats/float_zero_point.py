r"""A float zero point: the group's minimum is a code exactly, because nothing rounds it.

An integer zero point moves the range of a group until 0.0 is a mark. Weights have no need of that:
nothing pads them. HQQ keeps the zero point z as a float, so the ends of the group are the ends of
the codes, and computes with the *inverse* of the scale:

.. math::

    s^{-1} = \min\!\left(\frac{1}{w_{max} - w_{min}} \cdot (2^b - 1),\ 20000\right), \qquad
    z = -w_{min}\, s^{-1}                                                         \tag{1}

    q = \operatorname{clamp}(\operatorname{round\_half\_even}(w\, s^{-1} + z),\ 0,\ 2^b - 1) \tag{2}

    \hat w = (q - z) \cdot s, \qquad s = 1 / s^{-1}                               \tag{3}

each operation in float32, and the quotient as written: PyTorch computes a number over a tensor as
the reciprocal times the number, two roundings. Where :math:`w_{max} - w_{min} \le 10^{-4}`, the
inverse scale is 1: a constant group comes back exactly, but small weights become their minimum.

Layout: groups of ``group_size`` values of the flattened matrix (axis 1: neighbours, a row of
``(groups, group_size)``; axis 0: every ``groups``-th value, a column of ``(group_size, groups)``)::

    codes: u8 | scale: f32 a group | zero_point: f32 a group, in units of the code

Eq. (1) is HQQ's start; its optimizer moves z and keeps (2) and (3). ``round_zero`` rounds z (half
even) and gives AWQ's integers. NaN and infinities are refused: HQQ casts NaN to an integer, which C
does not define. Left out: 1.58 bits, the cast of scale and z to float16 after (1), bit packing.

References
----------
Badri and Shaji, "Half-Quadratic Quantization", 2023; mobiusml/hqq ``hqq/core/quantize.py``
(``Quantizer.quantize``, ``dequantize``).
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array, parameter_array
from refquant.formats.codebook import float32_input

__all__ = ["CARD", "FloatZeroPoint", "choose_qparams", "dequantize", "encode", "quantize"]

F32 = NDArray[np.float32]
Codes = NDArray[np.uint8]

SMALLEST_RANGE = np.float32(1e-4)
LARGEST_INVERSE = np.float32(2e4)


@dataclass(frozen=True, slots=True, eq=False)
class FloatZeroPoint:
    """Codes (groups, group_size) or, for axis 0, (group_size, groups), their parameters, a shape.

    ``scale`` and ``zero_point`` have the shape of the codes, but 1 along ``axis``.
    """

    codes: Codes
    scale: F32
    zero_point: F32
    shape: tuple[int, ...]


def quantize(
    w: ArrayLike, *, num_bits: int, group_size: int, axis: int, round_zero: bool
) -> FloatZeroPoint:
    """Return ``w`` (float32, finite, any shape) in groups along ``axis`` (0 or 1): eq. (1) to (3).

    ``group_size`` divides the number of elements. ``num_bits`` is 1 to 8.

    >>> w = np.array([-0.5, 0.25, 0.3, 1.0], np.float32)
    >>> q = quantize(w, num_bits=2, group_size=4, axis=1, round_zero=False)
    >>> q.codes.tolist(), q.scale.tolist(), q.zero_point.tolist()
    ([[0, 2, 2, 3]], [[0.5]], [[1.0]])
    """
    values = float32_input(w, finite=True)
    if axis not in (0, 1):
        raise ValueError(f"axis must be 0 or 1, got {axis}")
    if group_size < 1 or values.size % group_size:
        raise ValueError(
            f"group_size must divide the {values.size} elements of w, got {group_size}"
        )
    groups = values.reshape((-1, group_size) if axis else (group_size, -1))
    inverse, zero = choose_qparams(groups, num_bits=num_bits, axis=axis, round_zero=round_zero)
    codes = encode(groups, inverse_scale=inverse, zero_point=zero, num_bits=num_bits)
    return FloatZeroPoint(codes, np.float32(1) / inverse, zero, values.shape)


def choose_qparams(groups: F32, *, num_bits: int, axis: int, round_zero: bool) -> tuple[F32, F32]:
    """Return inverse scale and zero point of each group along ``axis``, 1 long there: eq. (1).

    >>> groups = np.array([[0, 3], [7, 7]], np.float32)
    >>> inverse, zero = choose_qparams(groups, num_bits=2, axis=1, round_zero=False)
    >>> inverse.tolist(), zero.tolist()
    ([[1.0], [1.0]], [[-0.0], [-7.0]])
    """
    if not 1 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 1..8, got {num_bits}")
    if not groups.size:
        return groups[:, :1] if axis else groups[:1], groups[:, :1] if axis else groups[:1]
    low, high = groups.min(axis=axis, keepdims=True), groups.max(axis=axis, keepdims=True)
    with np.errstate(divide="ignore", over="ignore"):
        extent = high - low
        inverse = np.float32(1) / extent * np.float32(2**num_bits - 1)
    inverse = np.where(extent <= SMALLEST_RANGE, np.float32(1), inverse)
    inverse = np.minimum(inverse, LARGEST_INVERSE)
    if not (inverse > 0).all():
        raise ValueError("w must span less than the range of float32 within a group")
    with np.errstate(under="ignore"):
        zero = -low * inverse
    return inverse, np.rint(zero) if round_zero else zero


def encode(w: F32, *, inverse_scale: F32, zero_point: F32, num_bits: int) -> Codes:
    """Return the codes of ``w``; the parameters broadcast against it: eq. (2).

    >>> one = np.array(1, np.float32)
    >>> w = np.array([0.4, 9, -1], np.float32)
    >>> encode(w, inverse_scale=one, zero_point=one, num_bits=2).tolist()
    [1, 3, 0]
    """
    with np.errstate(over="ignore", under="ignore"):
        v = np.rint(w * inverse_scale + zero_point)
    return np.asarray(np.clip(v, 0, 2**num_bits - 1), np.uint8)


def dequantize(quantized: FloatZeroPoint) -> F32:
    """Return the reals that the codes mean, float32 of the original shape: eq. (3).

    >>> q = quantize(np.array([-0.5, 1.0], np.float32), num_bits=2, group_size=2, axis=1,
    ...              round_zero=False)
    >>> dequantize(q).tolist()
    [-0.5, 1.0]
    """
    codes = code_array(quantized.codes, low=0, high=255)
    scale = parameter_array(quantized.scale, name="scale", shape=codes.shape)
    zero = parameter_array(quantized.zero_point, name="zero_point", shape=codes.shape)
    if codes.size != math.prod(quantized.shape):
        raise ValueError(f"codes must fill shape {quantized.shape}, got {codes.shape}")
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        real = (codes.astype(np.float32) - zero) * scale
    return np.asarray(real, np.float32).reshape(quantized.shape)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    q = quantize(x, num_bits=4, group_size=x.size, axis=1, round_zero=False)
    scale, zero = q.scale.reshape(-1)[0], q.zero_point.reshape(-1)[0]
    how = f"({number(x.max())} - {number(x.min())}) / 15, as the inverse of the inverse"
    return [
        Step("scale", how, number(scale)),
        Step("zero_point", "-min / scale, not rounded", number(zero)),
        *value_steps(x, [f"0b{int(code):04b}" for code in q.codes.reshape(-1)], dequantize(q)),
    ]


CARD = Card(
    name="float_zero_point",
    title="Float zero point (HQQ)",
    bits_per_value=4.0,
    block_size=0,
    layout="codes u8 (1 to 8 bits) | scale f32 a group | zero_point f32 a group",
    equation="x = (code - zero_point) * scale",
    source="mobiusml/hqq hqq/core/quantize.py, Quantizer",
    explain=_explain,
)
