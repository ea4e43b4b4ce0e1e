r"""Q8_0: 32 signed bytes and a half. ggml's activations, and its best 8-bit weights.

LAYOUT, 34 bytes for 32 values::

      byte 0      2                                     34
      +-----------+------+------+------+-    -+-------+
      | d: f16 LE | q[0] | q[1] | q[2] |  ... | q[31] |      q: int8
      +-----------+------+------+------+-    -+-------+

.. math::

    d &= \max|x| \oslash 127 \tag{1} \\
    q &= \mathrm{round}(x \otimes d^{-1}) \tag{2} \\
    \hat x &= \mathrm{half}(d) \cdot q \tag{3}

Circles are float32 operations. Eq. (2) uses the float32 d, eq. (3) its half. Eq. (2) has four
meanings in ggml, here the ``flavour``; weights in files are ``reference``, activations are what
the CPU has:

============  ======================  ============  ==============  ===========================
flavour       reciprocal of d         ties          1/d = infinity  where
============  ======================  ============  ==============  ===========================
reference     1 / d                   away from 0   0               C, and what ``quantize`` writes
avx2          127 / max \|x\|         to even       -128            x86 with AVX, LoongArch
neon          1 / d                   to even       -1 or 0         Arm, RISC-V V, s390x
wasm          1 / d                   none: trunc   -1 or 0         WebAssembly SIMD
============  ======================  ============  ==============  ===========================

In ``wasm``, 2.99 becomes 2: a bias towards zero of half a step. |d| <= 2^-128 (for avx2: max|x| <
127 * 2^-128) makes the reciprocal infinite. C leaves the cast of an infinity open, so ``reference``
is x86 there; the other rows are what AVX2, Arm and WebAssembly define. The half of d is 0 then.

Left out: PowerPC (not checked); an importance, which ggml ignores for this type: it is checked and
ignored here too.

References
----------
ggml ``src/ggml-quants.c`` (``quantize_row_q8_0_ref``); ``src/ggml-cpu/arch/*/quants.c``.
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
    from_half,
    reciprocal,
    to_half,
)
from refquant.numerics.casts import int32_cast
from refquant.numerics.rounding import round_half_away

__all__ = ["CARD", "FLAVOURS", "decode", "encode", "narrowed", "scaled_codes"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]
I32 = NDArray[np.int32]

FLAVOURS = ("reference", "avx2", "neon", "wasm")


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as Q8_0, uint8 (..., n / 32 * 34): eq. (1) and (2).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. A block of zeros has d = 0.
    A d of 65520 or more becomes the half infinity, as in ggml, which later refuses such a file.

    >>> x = np.zeros(32, np.float32)
    >>> x[:4] = 127, -63.5, 0.5, -2.75
    >>> for flavour in FLAVOURS:
    ...     data = encode(x, flavour=flavour)
    ...     print(data[:2].tolist(), data[2:6].view(np.int8).tolist(), flavour)
    [0, 60] [127, -64, 1, -3] reference
    [0, 60] [127, -64, 0, -3] avx2
    [0, 60] [127, -64, 0, -3] neon
    [0, 60] [127, -63, 0, -2] wasm
    """
    checked_flavour(flavour, FLAVOURS)
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        d, codes = scaled_codes(part, flavour=flavour)
        return np.concatenate([to_half(d[:, 0]), narrowed(codes, flavour=flavour)], axis=1)

    return encode_rows(x, type="Q8_0", function=block)


def decode(data: U8) -> F32:
    """Return Q8_0 ``data``, uint8 (..., k * 34), as float32 (..., k * 32): eq. (3), exactly.

    >>> data = np.array([0, 60, 127, 192] + [0] * 30, np.uint8)
    >>> decode(data)[:3].tolist()
    [127.0, -64.0, 0.0]
    """

    def block(part: U8) -> F32:
        out = part[:, 2:].view(np.int8).astype(np.float32)
        out *= from_half(part[:, :2])[:, None]
        return out

    return decode_rows(data, type="Q8_0", function=block)


def scaled_codes(blocks: F32, *, flavour: str) -> tuple[F32, I32]:
    """Return d, float32 (m, 1), and the rounded codes, int32 of the shape of ``blocks``.

    Codes are in -127..127 unless the reciprocal is infinite: see ``narrowed``.

    >>> d, codes = scaled_codes(np.array([[254, -3, 1e-9]], np.float32), flavour="reference")
    >>> d.tolist(), codes.tolist()
    ([[2.0]], [[127, -2, 0]])
    """
    largest = np.maximum(blocks.max(axis=1), -blocks.min(axis=1))[:, None] + np.float32(0)
    d = largest / np.float32(127)
    if flavour == "avx2":
        with np.errstate(divide="ignore", over="ignore"):
            inverse = np.where(largest == 0, np.float32(0), np.float32(127) / largest)
    else:
        inverse = reciprocal(d)
    with np.errstate(invalid="ignore", over="ignore"):  # zero times an infinite reciprocal
        v = blocks * inverse
    if flavour == "reference":
        v = round_half_away(v)
    elif flavour == "wasm":
        v = np.trunc(v)
    else:
        v = np.rint(v)
    if np.isfinite(inverse).all():
        return d, v.astype(np.int32)
    if flavour in ("reference", "avx2"):
        return d, int32_cast(v)
    # Arm and WebAssembly saturate, and make zero of NaN.
    wide = np.clip(np.nan_to_num(v.astype(np.float64), nan=0.0), -(2.0**31), 2.0**31 - 1)
    return d, wide.astype(np.int32)


def narrowed(codes: I32, *, flavour: str) -> U8:
    """Return int32 codes as bytes: AVX2's pack saturates, all others keep the low eight bits.

    >>> codes = np.array([-(2**31), 2**31 - 1, 5], np.int32)
    >>> [narrowed(codes, flavour=flavour).view(np.int8).tolist() for flavour in ("avx2", "neon")]
    [[-128, 127, 5], [0, -1, 5]]
    """
    if flavour == "avx2":
        codes = np.clip(codes, -128, 127)
    return codes.astype(np.uint8)


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    largest = np.abs(block).max()
    d = largest / np.float32(127)
    steps = [
        Step("max |x|", f"of 32 values, {32 - len(values)} of them padding", number(largest)),
        Step("d", f"{number(largest)} / 127, in float32", number(d)),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("q", f"round(x * {number(reciprocal(d))}), ties away from zero", "int8"),
    ]
    codes = [f"{int(q)} = 0x{int(q) & 255:02x}" for q in data[2:].view(np.int8)]
    return [*steps, *value_steps(values, codes, decode(data))]


CARD = Card(
    name="q8_0",
    title="ggml Q8_0: int8, one half a block of 32",
    bits_per_value=8.5,
    block_size=32,
    layout="byte 0..1: d, f16, low byte first\nbyte 2..33: q[0..31], int8",
    equation="x = d * q; d = max|x| / 127, q = round_half_away(x * (1/d))",
    source="ggml src/ggml-quants.c, quantize_row_q8_0_ref",
    explain=_explain,
)
