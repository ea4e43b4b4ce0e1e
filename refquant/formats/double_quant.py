r"""Double quantization: the scales of 4-bit blocks, in 8 bits.

A block of 64 values of 4 bits and a float32 absmax takes 4.5 bits a value. The absmax are all
positive and alike; their mean taken off, they fit the signed 8-bit dynamic map, 256 of them to one
float32, and the half bit becomes 8/64 + 32/(64 * 256) = 0.127 bits:

.. math::

    o = \operatorname{mean}(a), \qquad k = \operatorname{dynamic}(a - o),
    \text{ in blocks of 256}                                                     \tag{1}

    \hat a = \mathrm{f32}(\mathrm{f32}(c_k \cdot a_2) + o)                         \tag{2}

Layout, as bitsandbytes stores it (the parts of ``quant_state``)::

    absmax: u8 a block | nested_absmax: f32, one for 256 blocks | nested_offset: f32, one a tensor

The mean is the one number whose bits are nobody's contract: PyTorch adds in an order that depends
on the CPU. Ours is the exact sum (``math.fsum``), divided; ``offset`` takes another.
NaN and infinities in the absmax are refused: they would spoil the mean, so the whole tensor.

References
----------
Dettmers et al., "QLoRA", 2023, section 3 (Double Quantization); bitsandbytes ``functional.py``
(``quantize_4bit`` with ``compress_statistics``).
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats import dynamic_map
from refquant.formats.absmax_blocks import Blockwise
from refquant.formats.card import Card, Step, number, value_steps
from refquant.formats.codebook import float32_input

__all__ = ["BLOCK_SIZE", "CARD", "DoubleQuantized", "dequantize", "quantize"]

F32 = NDArray[np.float32]

BLOCK_SIZE = 256


@dataclass(frozen=True, slots=True, eq=False)
class DoubleQuantized:
    """The codes and absmax of ``a - offset``, and the ``offset``."""

    inner: Blockwise
    offset: np.float32


def quantize(absmax: ArrayLike, *, flavour: str, offset: float | None = None) -> DoubleQuantized:
    """Return the 8-bit form of ``absmax`` (float32, finite, (blocks,)): eq. (1).

    ``flavour`` is one of ``refquant.formats.dynamic_map``; ``offset`` None is the mean, 0 for
    no blocks.

    >>> q = quantize(np.array([1.0, 3.0], np.float32), flavour="bnb_torch")
    >>> q.inner.codes.tolist(), q.inner.absmax.tolist(), float(q.offset)
    ([0, 255], [1.0], 2.0)
    """
    a = float32_input(absmax, finite=True)
    if a.ndim != 1:
        raise ValueError(f"absmax must have shape (blocks,), got {a.shape}")
    mean = math.fsum(a.tolist()) / a.size if a.size else 0.0
    middle = np.float32(mean if offset is None else offset)
    inner = dynamic_map.quantize(
        a - middle, values=dynamic_map.DYNAMIC_SIGNED, block_size=BLOCK_SIZE, flavour=flavour
    )
    return DoubleQuantized(inner, middle)


def dequantize(quantized: DoubleQuantized) -> F32:
    """Return the absmax that the codes mean, float32 (blocks,): eq. (2).

    >>> q = quantize(np.array([1.0, 3.0], np.float32), flavour="bnb_torch")
    >>> dequantize(q).tolist()
    [1.0070312023162842, 3.0]
    """
    inner = dynamic_map.dequantize(quantized.inner, values=dynamic_map.DYNAMIC_SIGNED)
    with np.errstate(over="ignore"):
        return np.asarray(inner + quantized.offset, np.float32)


def _explain(values: F32) -> list[Step]:
    x = np.asarray(values, np.float32).reshape(-1)
    quantized = quantize(x, flavour="bnb_torch")
    inner = quantized.inner
    return [
        Step("offset", "mean of the absmax", number(quantized.offset)),
        Step("absmax", "max |a - offset|", ", ".join(number(a) for a in inner.absmax)),
        *value_steps(x, [f"0x{int(c):02x}" for c in inner.codes], dequantize(quantized)),
    ]


CARD = Card(
    name="double_quant",
    title="Double quantization: absmax in 8 bits",
    bits_per_value=8.125,
    block_size=BLOCK_SIZE,
    layout="256 x 8 bits: place in the dynamic map | absmax f32 | offset f32, one a tensor",
    equation="absmax = map[code] * nested_absmax + offset",
    source="QLoRA (2023), section 3; bitsandbytes functional.py, quantize_4bit",
    explain=_explain,
)
