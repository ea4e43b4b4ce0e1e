r"""Q8_K: 256 signed bytes, one float32, and their sums. The activations beside every K-quant.

A dot product of Q4_K and friends with activations needs the activations as integers, and, because
of the minimums, the sum of every sixteen codes. Q8_K is both; it is never in a file. 292 bytes for
256 values::

    byte   0         4                      260                   292
           +---------+----------------------+---------------------+
           | d       | qs                   | bsums               |
           | float32 | 256 codes, int8      | 16 sums, int16      |
           +---------+----------------------+---------------------+

all little-endian. With M the value of largest magnitude, its sign included,

.. math::

    \kappa &= -127 / M, \quad d = 1 / \kappa                                       \tag{1} \\
    q_i &= \min(\mathrm{round}(\kappa x_i), 127), \quad
        \mathrm{bsum}_j = \textstyle\sum_{i=16j}^{16j+15} q_i                      \tag{2} \\
    \hat x_i &= \mathrm{f32}(d q_i)                                                \tag{3}

so M becomes -127, and d has the sign that M has not. If both M and -M are in the block, d may have
either sign: the codes differ in all their signs. That is the ``flavour``:

=============  ===========================  ===================  =================================
flavour        M of several                 kappa = infinity     where
=============  ===========================  ===================  =================================
reference      the first                    codes 0              C; x86, Arm, LoongArch, POWER
riscv          the negative one             -128, 127; 0 is 127  RISC-V with V
wasm           the positive one             -128, 127; 0 is 0    WebAssembly SIMD
=============  ===========================  ===================  =================================

:math:`\kappa` is infinite where 127 / \|M\| exceeds float32, for \|M\| below 3.8e-37; d is then 0.
``bsums`` of a block of zeros are 0 here; ``reference`` and ``wasm`` leave them as they were in
memory. Left out: the AVX-512 variant for AMX, which ggml has switched off; an importance, which
does not exist for this type.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q8_K_ref``, ``dequantize_row_q8_K``;
``src/ggml-cpu/arch/riscv/quants.c``, ``src/ggml-cpu/arch/wasm/quants.c``: ``quantize_row_q8_K``;
``src/ggml-common.h``: ``block_q8_K``.
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
    nearest_int,
)
from refquant.formats.ggml.k_search import signed_max

__all__ = ["CARD", "FLAVOURS", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

FLAVOURS = ("reference", "riscv", "wasm")


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return ``x``, float32 (..., n), as bytes (..., n / 256 * 292): eq. (1, 2).

    ``ValueError``: n no multiple of 256; NaN or infinity in ``x``; an unknown ``flavour``. An
    ``importance`` is checked, then ignored. A block of zeros is 292 zero bytes.

    >>> x = np.zeros(256, np.float32)
    >>> x[:3] = 2, -2, 1
    >>> for flavour in FLAVOURS:
    ...     data = encode(x, flavour=flavour)
    ...     print(data[4:7].view(np.int8).tolist(), data[260:262].view("<i2").tolist(), flavour)
    [-127, 127, -64] [-64] reference
    [127, -127, 64] [64] riscv
    [-127, 127, -64] [-64] wasm
    """
    checked_flavour(flavour, FLAVOURS)
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        return _encode(part, flavour)

    return encode_rows(x, type="Q8_K", function=block)


def decode(data: U8) -> F32:
    """Return the float32 values (..., k * 256) of bytes (..., k * 292): eq. (3).

    >>> data = np.zeros(292, np.uint8)
    >>> data[:4].view("<f4")[:], data[4:6] = 0.5, (3, 255)
    >>> decode(data)[:2].tolist()
    [1.5, -0.5]
    """
    return decode_rows(data, type="Q8_K", function=_decode)


def _encode(blocks: F32, flavour: str) -> U8:
    """Return (m, 292) bytes of (m, 256) values."""
    kappa = np.float32(-127) / _largest(blocks, flavour)
    zero = ~blocks.any(axis=1)
    v = blocks * kappa[:, None]
    if flavour == "reference":
        codes = np.minimum(nearest_int(v), 127).astype(np.int8)
    else:  # these round as IEEE 754 does, then saturate; they differ in NaN, 0 times infinity
        of_nan = 127 if flavour == "riscv" else 0
        codes = np.clip(np.where(np.isnan(v), of_nan, np.rint(v)), -128, 127).astype(np.int8)
    codes[zero] = 0
    sums = codes.reshape(-1, 16, 16).sum(axis=2, dtype=np.int16)
    d = np.where(zero, np.float32(0), 1 / kappa)
    parts = [d.astype("<f4")[:, None].view(np.uint8), codes.view(np.uint8)]
    return np.concatenate([*parts, sums.astype("<i2").view(np.uint8)], axis=1)


def _largest(blocks: F32, flavour: str) -> F32:
    """Return M of each block."""
    if flavour == "reference":
        return signed_max(blocks.T)
    high, low = blocks.max(axis=1), blocks.min(axis=1)
    if flavour == "riscv":
        return np.asarray(np.where(np.abs(high) > np.abs(low), high, low))
    return np.asarray(np.where(-low > high, low, high))


def _decode(data: U8) -> F32:
    """Return (m, 256) values of (m, 292) bytes."""
    d = np.ascontiguousarray(data[:, :4]).view("<f4").astype(np.float32)
    values = data[:, 4:260].view(np.int8).astype(np.float32)
    values *= d
    return values


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=256)
    data = encode(block)
    largest = _largest(block[None], "reference")[0]
    d, sums = data[:4].view("<f4")[0], data[260:].view("<i2")
    steps = [
        Step("M", f"largest magnitude of {len(values)} values and padding", number(largest)),
        Step("d", f"1 / (-127 / {number(largest)})", number(d)),
        Step("bsums", "sums of 16 codes", " ".join(str(int(total)) for total in sums)),
    ]
    codes = [f"{int(q)} = 0x{int(q) & 255:02x}" for q in data[4:260].view(np.int8)]
    return [*steps, *value_steps(values, codes, decode(data))]


CARD = Card(
    name="q8_k",
    title="ggml Q8_K: int8, one float32 for 256, and sums; activations only",
    bits_per_value=9.125,
    block_size=256,
    layout="byte 0..3: d, float32\nbyte 4..259: q[0..255], int8\nbyte 260..291: 16 sums, int16",
    equation="x = d * q",
    source="ggml src/ggml-quants.c, quantize_row_q8_K_ref",
    explain=_explain,
)
