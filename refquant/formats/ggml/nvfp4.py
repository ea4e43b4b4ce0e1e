r"""NVFP4 as ggml has it: 64 E2M1 elements, a scale in UE4M3 for each 16.

LAYOUT, 36 bytes for 64 values::

      byte 0    1    2    3    4           12          20          28          36
      +----+----+----+----+-----------+-----------+-----------+-----------+
      | d0 | d1 | d2 | d3 | x[0..15]  | x[16..31] | x[32..47] | x[48..63] |
      +----+----+----+----+-----------+-----------+-----------+-----------+

      8 bytes for 16 values, split halves: byte j is c[j] (low nibble) and c[j + 8] (high)

.. math::

    d &= \mathrm{UE4M3}(\max|x| \oslash 6) \tag{1} \\
    c &= \operatorname{argmin}_c |v(c) \otimes d/2 \ominus x|, \text{ the lowest} \tag{2} \\
    \hat x &= d/2 \cdot v(c) \tag{3}

with v(c) the doubled E2M1 numbers of ``mxfp4.py``. NVFP4's second scale, a float32 for the whole
tensor, is a tensor of its own in a GGUF file: ``x`` is meant to be divided by it before.

**ggml's UE4M3 is not the nearest.** Its encoder, here the flavour ``reference``, looks at one bit
below the mantissa (half up instead of half even), never carries from the largest subnormal into
the first normal number, and has a limit of exponents where the format still has seven numbers:

==========================  ==============  =============
max / 6                     ``reference``   ``nearest``
==========================  ==============  =============
1.0625, a tie               1.125           1
[7.5/512, 8/512)            7/512           8/512
[248, 256)                  448             256 (or 240)
[256, 416)                  448             256 .. 416
==========================  ==============  =============

``nearest`` is eq. (1) rounded half to even, saturating at 448. Decoding has a trap as well: NaN,
0x7f, is read as 0, and bytes above 0x7f without their top bit (0xff as 480: it is not 0x7f).

Left out: an importance, which ggml ignores for this type; it is checked and ignored here too.

References
----------
ggml ``src/ggml-quants.c`` (``quantize_row_nvfp4_ref``), ``src/ggml-impl.h``
(``ggml_fp32_to_ue4m3``, ``ggml_ue4m3_to_fp32``), 2026-08.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step, number, padded_block, value_steps
from refquant.formats.checks import row_length
from refquant.formats.ggml.blocks import (
    checked_flavour,
    checked_importance,
    decode_rows,
    encode_rows,
    join_halves,
    split_halves,
)
from refquant.formats.ggml.mxfp4 import DOUBLED, nearest_codes
from refquant.numerics.minifloat import encode as encode_minifloat
from refquant.numerics.minifloat_formats import FLOAT_FORMATS

__all__ = ["CARD", "FLAVOURS", "decode", "decode_scale", "encode", "encode_scale"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FLAVOURS = ("reference", "nearest")


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as NVFP4, uint8 (..., n / 64 * 36): eq. (1) and (2).

    n must be a multiple of 64; NaN and infinities are a ``ValueError``. A scale below half of
    2^-9 is 0, with codes 0; elements beyond 6 * 448 clip.

    >>> x = np.zeros(64, np.float32)
    >>> x[:3], x[8] = (6, 2.5, -1.1), 3.7  # d0 = 1: codes 7, 4 (a tie), 10; 6
    >>> x[16], x[17] = 6.375, 0.7  # max / 6 = 1.0625: 1.125 or 1.0
    >>> for flavour in FLAVOURS:
    ...     data = encode(x, flavour=flavour)
    ...     print(data[:7].tolist(), data[12:14].tolist(), flavour)
    [56, 57, 0, 0, 103, 4, 10] [7, 1] reference
    [56, 56, 0, 0, 103, 4, 10] [7, 1] nearest
    """
    checked_flavour(flavour, FLAVOURS)
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        sub_blocks = part.reshape(-1, 4, 16)
        scales = encode_scale(np.abs(sub_blocks).max(axis=2) / np.float32(6), flavour=flavour)
        half = decode_scale(scales)[..., None] * np.float32(0.5)
        codes = join_halves(nearest_codes(sub_blocks, half))
        return np.concatenate([scales, codes.reshape(-1, 32)], axis=1)

    return encode_rows(x, type="NVFP4", function=block)


def decode(data: U8) -> F32:
    """Return NVFP4 ``data``, uint8 (..., k * 36), as float32 (..., k * 64): eq. (3), exactly.

    >>> data = np.array([56, 57, 0, 0, 0x67, 0x04, 0x0A] + [0] * 5 + [7] + [0] * 23, np.uint8)
    >>> decode(data)[[0, 1, 2, 8, 16]].tolist()
    [6.0, 2.0, -1.0, 4.0, 6.75]
    """

    def block(part: U8) -> F32:
        out = DOUBLED[split_halves(part[:, 4:].reshape(-1, 4, 8))]
        out *= decode_scale(part[:, :4])[..., None] * np.float32(0.5)
        return out.reshape(-1, 64)

    return decode_rows(data, type="NVFP4", function=block)


def encode_scale(scale: F32, *, flavour: str) -> U8:
    """Return float32 scales >= 0 as UE4M3 codes of 0..0x7e, by one of ``FLAVOURS``.

    >>> scale = np.array([0.0, 0.0149, 1.0625, 248.0, 300.0, 1e9], np.float32)
    >>> encode_scale(scale, flavour="reference").tolist()
    [0, 7, 57, 126, 126, 126]
    >>> encode_scale(scale, flavour="nearest").tolist()
    [0, 8, 56, 120, 121, 126]
    """
    scale = np.asarray(scale, np.float32)
    if checked_flavour(flavour, FLAVOURS) == "nearest":
        return encode_minifloat(scale, FLOAT_FORMATS["ue4m3"]).astype(np.uint8)
    # Half up at three bits of mantissa: add half of the 20 bits that go, and drop them.
    rounded = (np.ascontiguousarray(scale).view(np.uint32) + np.uint32(1 << 19)) >> np.uint32(20)
    normal = rounded.astype(np.int32) - ((127 - 7) << 3)
    normal = np.where(normal >= 15 << 3, 0x7E, normal)
    small = np.minimum(scale, np.float32(1)) * np.float32(512) + np.float32(0.5)
    subnormal = np.minimum(small.astype(np.int32), 7)
    return np.where(scale < np.float32(2.0**-6), subnormal, normal).astype(np.uint8)


def decode_scale(codes: U8) -> F32:
    """Return what ggml reads in UE4M3 codes, any byte: float32.

    >>> decode_scale(np.array([0, 1, 8, 56, 126, 127, 128, 255], np.uint8)).tolist()
    [0.0, 0.001953125, 0.015625, 1.0, 448.0, 0.0, 0.0, 480.0]
    """
    return _SCALES[codes]


def _scales() -> F32:
    """Return the value of each byte as ggml reads it."""
    codes = np.arange(256)
    exponent, mantissa = codes >> 3 & 15, codes & 7
    normal = np.ldexp(8.0 + mantissa, exponent - 10)
    values = np.where(exponent == 0, mantissa / 512, normal)
    values[0x7F] = 0.0
    return values.astype(np.float32)


_SCALES = _scales()


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=64)
    data = encode(block)
    steps = []
    for index in range(-(-len(values) // 16)):
        largest = np.abs(block[16 * index : 16 * index + 16]).max()
        wanted = largest / np.float32(6)
        code = int(data[index])
        how = f"UE4M3 of {number(largest)} / 6 = {number(wanted)}, half up"
        steps.append(Step(f"d{index}", how, f"{number(_SCALES[code])} = 0x{code:02x}"))
        best = encode_scale(wanted[None], flavour="nearest")
        if int(best[0]) != code:
            steps.append(
                Step(f"d{index}", "would be, rounded to nearest", number(_SCALES[best][0]))
            )
    steps.append(Step("c", "E2M1 nearest to x / d, ties to the smaller magnitude", "s ee m"))
    codes = split_halves(data[4:].reshape(4, 8)).reshape(64).tolist()
    shown = [f"{c} = 0b{c >> 3}_{c >> 1 & 3:02b}_{c & 1}" for c in codes]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="nvfp4_ggml",
    title="ggml NVFP4: E2M1 elements, UE4M3 scales of 16, blocks of 64",
    bits_per_value=4.5,
    block_size=64,
    layout=(
        "byte 0..3: UE4M3 scale of values 16s .. 16s + 15\n"
        "byte 4 + 8s + j: c[16s + j] low nibble, c[16s + j + 8] high nibble"
    ),
    equation="x = d * E2M1(c); d = UE4M3(max|x| / 6), c nearest, ties to the smaller magnitude",
    source="ggml src/ggml-quants.c, quantize_row_nvfp4_ref (2026-08)",
    explain=_explain,
)
