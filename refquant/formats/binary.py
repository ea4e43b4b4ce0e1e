r"""Binary weights: a sign, and one scale for a channel.

The best approximation of w by :math:`\alpha b` with :math:`b_i = \pm 1` has the signs of w and the
mean of its magnitudes:

.. math::

    \min_{\alpha, b} \|w - \alpha b\|^2: \qquad b = \operatorname{sign}(w), \qquad
    \alpha = \frac1n \sum_i |w_i|                                                 \tag{1}

If the other factor is binary too, a product is an XOR and a sum is a count of bits:

.. math::

    \sum_i a_i b_i = n - 2 \cdot \operatorname{popcount}(A \oplus B)                \tag{2}

Layout: a bit is 1 for plus, and bits go into bytes lowest first::

    byte j: | b[8j + 7] .. b[8j + 1] b[8j] |     scale: f32 a channel (``axis``) or a tensor

Zero has no sign: 0.0 and -0.0 are plus here. ``torch.sign`` gives 0 for them, so codes that no bit
holds. The sum is exact (``math.fsum``), divided in float64, and rounded to float32. NaN and
infinities are refused; a channel of nothing has scale 0.
Left out: the scales of activations (XNOR-Net's K), training.

References
----------
Rastegari et al., "XNOR-Net", ECCV 2016, sections 3.1 (Binary-Weight-Networks) and 3.2.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.checks import code_array, parameter_array
from refquant.formats.codebook import float32_input

__all__ = ["CARD", "Binary", "dequantize", "pack", "quantize", "unpack", "xnor_dot"]

F32 = NDArray[np.float32]
Bits = NDArray[np.uint8]


@dataclass(frozen=True, slots=True, eq=False)
class Binary:
    """Bits (uint8, 0 or 1) of the tensor's shape; ``scale`` broadcasts against them."""

    bits: Bits
    scale: F32


def quantize(w: ArrayLike, *, axis: int | None) -> Binary:
    """Return ``w`` (float32, finite, any shape) as bits, one scale a channel or tensor: eq. (1).

    >>> b = quantize(np.array([[1, -3], [0, 0.5]], np.float32), axis=0)
    >>> b.bits.tolist(), b.scale.tolist()
    ([[1, 0], [1, 1]], [[2.0], [0.25]])
    """
    values = float32_input(w, finite=True)
    if axis is not None and not -values.ndim <= axis < values.ndim:
        raise ValueError(f"axis must be None or an axis of w, shape {values.shape}; got {axis}")
    bits = (values >= 0).astype(np.uint8)
    if axis is None:
        return Binary(bits, np.asarray(_mean(values), np.float32))
    shape = [1] * values.ndim
    shape[axis] = -1
    means = [_mean(channel) for channel in np.moveaxis(values, axis, 0)]
    return Binary(bits, np.array(means, np.float32).reshape(shape))


def dequantize(binary: Binary) -> F32:
    """Return the reals that the bits mean, float32 of their shape: plus or minus the scale.

    >>> dequantize(Binary(np.array([1, 0], np.uint8), np.array(2.0, np.float32))).tolist()
    [2.0, -2.0]
    """
    bits = code_array(binary.bits, low=0, high=1)
    scale = parameter_array(binary.scale, name="scale", shape=bits.shape)
    signs = np.where(bits == 1, np.float32(1), np.float32(-1))
    with np.errstate(invalid="ignore"):  # a signalling NaN is a NaN
        return np.asarray(signs * scale, np.float32)


def pack(bits: Bits) -> Bits:
    """Return the bytes of the bits along the last axis, lowest first; each row is filled up with 0.

    >>> pack(np.array([1, 0, 1, 0, 0, 0, 0, 0, 1], np.uint8)).tolist()
    [5, 1]
    """
    bits = np.asarray(bits)
    if bits.ndim < 1 or bits.dtype.kind not in "iu" or ((bits < 0) | (bits > 1)).any():
        raise ValueError(f"bits must be 0 or 1 with a last axis, got {bits.dtype} {bits.shape}")
    return np.packbits(bits.astype(np.uint8), axis=-1, bitorder="little")


def unpack(data: Bits, *, count: int) -> Bits:
    """Return ``count`` bits of each row of bytes: the inverse of ``pack``.

    >>> unpack(np.array([5, 1], np.uint8), count=9).tolist()
    [1, 0, 1, 0, 0, 0, 0, 0, 1]
    """
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.ndim < 1 or data.shape[-1] != -(-count // 8):
        raise ValueError(
            f"data must be uint8 with {-(-count // 8)} bytes a row, got {data.dtype} {data.shape}"
        )
    return np.unpackbits(data, axis=-1, count=count, bitorder="little")


def xnor_dot(a: Bits, b: Bits, *, count: int) -> NDArray[np.int32]:
    """Return the sum of products of ``count`` signs of each row of packed ``a`` and ``b``: eq. (2).

    >>> a, b = pack(np.array([1, 1, 0], np.uint8)), pack(np.array([1, 0, 0], np.uint8))
    >>> int(xnor_dot(a, b, count=3))
    1
    """
    different = unpack(a, count=count) ^ unpack(b, count=count)  # the fill of a row is not counted
    return np.asarray(count - 2 * different.sum(axis=-1, dtype=np.int64), np.int32)


def _mean(values: F32) -> float:
    """Return the mean magnitude, 0 of nothing."""
    return math.fsum(np.abs(values).reshape(-1).tolist()) / max(1, values.size)


def _explain(values: F32) -> Sequence[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    q = quantize(x, axis=None)
    return [
        Step("scale", "mean |w|", number(q.scale)),
        *value_steps(x, [f"0b{int(bit)}" for bit in q.bits], dequantize(q)),
    ]


CARD = Card(
    name="binary",
    title="Binary weights: a sign and a scale",
    bits_per_value=1.0,
    block_size=0,
    layout="8 bits a byte, lowest first, 1 is plus | scale f32 a channel",
    equation="w = (2 * bit - 1) * scale",
    source="XNOR-Net (2016), section 3.1",
    explain=_explain,
)
