r"""What block floats share: the result of quantizing, and the codes of their elements in words.

A block float stores one code an element and one code a block. ``BlockFloat`` holds both, with what
is needed to read them again; each format's module has the ``quantize`` that makes one.

The texts are for the cards. A float code is shown as sign, exponent and mantissa; a value that
fell on a tie is marked, because that is where implementations disagree:

.. math::

    y = x / s, \qquad y \text{ is a tie} \iff y = (d_i + d_{i+1}) / 2             \tag{1}

for two neighbours d of the element format.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from refquant.formats.card import number
from refquant.numerics.minifloat import decode, encode
from refquant.numerics.minifloat_formats import FloatFormat

__all__ = ["BlockFloat", "bits_text", "encode_signed", "float32_input", "float_texts"]

F32 = NDArray[np.float32]
HALF_TOWARD_ZERO = "half_toward_zero"


@dataclass(frozen=True, slots=True, eq=False)
class BlockFloat:
    """A tensor in blocks: its codes, the codes of its scales, and how to read them.

    ``codes`` is uint8 (uint16 for elements of nine bits) of the tensor's shape, one code an
    element, unpacked. ``scales`` is uint8, one code a block. ``format`` is the name of the format
    in its module; the blocks lie along ``axis``. ``tensor_scale`` is the float32 of NVFP4, and
    ``producer`` says how it is applied.
    """

    format: str
    codes: NDArray[np.unsignedinteger[Any]]
    scales: NDArray[np.uint8]
    axis: int
    tensor_scale: np.float32 | None = None
    producer: str | None = None


def float32_input(x: ArrayLike) -> F32:
    """Return ``x`` as it is, a float32 array of at least one axis; ``ValueError`` otherwise.

    >>> float32_input(np.zeros(3, np.float32)).shape
    (3,)
    """
    y = np.asarray(x)
    if y.dtype != np.float32 or y.ndim == 0:
        raise ValueError(f"x must be float32 with at least one axis, got {y.dtype} {y.shape}")
    return y


def encode_signed(
    y: F32, format: FloatFormat, *, rounding: str, overflow: str, nan: str
) -> NDArray[np.uint8]:
    """Return the codes of ``y``, as ``minifloat.encode``; ``half_toward_zero`` is a rule here, too.

    >>> from refquant.numerics.minifloat_formats import FLOAT_FORMATS
    >>> y = np.array([-2.5, -0.75, 0.25, 5.0], np.float32)
    >>> encode_signed(
    ...     y, FLOAT_FORMATS["e2m1"], rounding="half_toward_zero", overflow="saturate", nan="max"
    ... ).tolist()
    [12, 9, 0, 6]
    """
    if rounding != HALF_TOWARD_ZERO:
        codes = encode(y, format, rounding=rounding, overflow=overflow, nan=nan)
        return np.asarray(codes, np.uint8)
    magnitude = encode(np.abs(y), format, rounding="half_down", overflow=overflow, nan=nan)
    sign = np.signbit(y).astype(np.uint8) << (format.num_bits - 1)
    return np.asarray(magnitude | sign, np.uint8)


def bits_text(code: int, format: FloatFormat) -> str:
    """Return the bits of a code as sign, exponent and mantissa.

    >>> from refquant.numerics.minifloat_formats import FLOAT_FORMATS
    >>> bits_text(0b1101, FLOAT_FORMATS["e2m1"]), bits_text(0x7E, FLOAT_FORMATS["ue4m3"])
    ('1 10 1', '1111 110')
    """
    text = f"{code:0{format.num_bits}b}"
    first = format.sign_bits
    second = first + format.exponent_bits
    return " ".join(part for part in (text[:first], text[first:second], text[second:]) if part)


def float_texts(
    y: F32, codes: NDArray[np.unsignedinteger[Any]], format: FloatFormat
) -> Sequence[str]:
    """Return for each scaled value: itself, a note if it was clipped or a tie, and its code.

    >>> from refquant.numerics.minifloat_formats import FLOAT_FORMATS
    >>> y = np.array([2.5, 7.0, 3.3], np.float32)
    >>> codes = np.array([4, 7, 5], np.uint8)
    >>> for text in float_texts(y, codes, FLOAT_FORMATS["e2m1"]):
    ...     print(text)
    scaled 2.5 (tie of 2 and 3) -> 2 = 0 10 0
    scaled 7 (clipped) -> 6 = 0 11 1
    scaled 3.29999995 -> 3 = 0 10 1
    """
    texts = []
    for value, code in zip(y, codes, strict=True):
        note = ""
        if np.isfinite(value):
            size = np.abs(np.float32(value))
            low, high = (
                float(decode(encode(size, format, rounding=rule), format))
                for rule in ("floor", "ceil")
            )
            if size > format.max_value:
                note = " (clipped)"
            elif low != high and 2 * float(size) == low + high:
                note = f" (tie of {number(low)} and {number(high)})"
        meaning = number(decode(int(code), format))
        texts.append(f"scaled {number(value)}{note} -> {meaning} = {bits_text(int(code), format)}")
    return texts
