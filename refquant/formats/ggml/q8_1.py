r"""Q8_1: Q8_0 with the sum of its values. The activations that meet weights with a minimum.

LAYOUT, 36 bytes for 32 values::

      byte 0      2           4                           36
      +-----------+-----------+------+------+-    -+-------+
      | d: f16 LE | s: f16 LE | q[0] | q[1] |  ... | q[31] |      q: int8
      +-----------+-----------+------+------+-    -+-------+

A weight of Q4_1 is :math:`d_w q_w + m`, so the dot product with activations :math:`d q` is
:math:`d_w d \sum q_w q + m \cdot d \sum q`: the second sum depends on the activations alone, and is
stored once.

.. math::

    d, q &\text{ as in Q8_0}, \quad s = \mathrm{half}(d \otimes \textstyle\sum q) \tag{1} \\
    \hat x &= \mathrm{half}(d) \cdot q \tag{2}

s is the float32 d times an exact integer sum. Flavours are those of Q8_0, with the same causes.
The struct has 36 bytes; a table in gguf's Python says 40, from the time when s was a float32.
Left out: an importance, ignored as in Q8_0. ggml itself never decodes Q8_1 or writes it to a file.

References
----------
ggml ``src/ggml-common.h`` (``block_q8_1``), ``src/ggml-quants.c`` (``quantize_row_q8_1_ref``),
``src/ggml-cpu/arch/*/quants.c``.
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
    to_half,
)
from refquant.formats.ggml.q8_0 import FLAVOURS, narrowed, scaled_codes

__all__ = ["CARD", "FLAVOURS", "block_sums", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None, flavour: str = "reference") -> U8:
    """Return float32 ``x`` (..., n) as Q8_1, uint8 (..., n / 32 * 36): eq. (1).

    n must be a multiple of 32; NaN and infinities are a ``ValueError``. d or s beyond 65519 become
    the half infinity, as in ggml.

    >>> x = np.zeros(32, np.float32)
    >>> x[:3] = 127, -63.5, 0.5
    >>> data = encode(x)
    >>> data[4:7].view(np.int8).tolist(), data[:4].view("<f2").tolist()
    ([127, -64, 1], [1.0, 64.0])
    """
    checked_flavour(flavour, FLAVOURS)
    checked_importance(importance, n=row_length(x))

    def block(part: F32) -> U8:
        d, codes = scaled_codes(part, flavour=flavour)
        data = narrowed(codes, flavour=flavour)
        # Of int32, modulo 2^32, as SIMD code sums; C sums the bytes, which is the same.
        total = codes.sum(axis=1, dtype=np.int32)
        s = d[:, 0] * total.astype(np.float32)
        return np.concatenate([to_half(d[:, 0]), to_half(s), data], axis=1)

    return encode_rows(x, type="Q8_1", function=block)


def decode(data: U8) -> F32:
    """Return Q8_1 ``data``, uint8 (..., k * 36), as float32 (..., k * 32): eq. (2), exactly.

    The sum is not looked at: see ``block_sums``.

    >>> decode(np.array([0, 60, 0, 0, 127, 192] + [0] * 30, np.uint8))[:3].tolist()
    [127.0, -64.0, 0.0]
    """

    def block(part: U8) -> F32:
        out = part[:, 4:].view(np.int8).astype(np.float32)
        out *= from_half(part[:, :2])[:, None]
        return out

    return decode_rows(data, type="Q8_1", function=block)


def block_sums(data: U8) -> F32:
    """Return the stored s of Q8_1 ``data``, uint8 (..., k * 36), as float32 (..., k).

    >>> block_sums(np.array([0, 60, 0, 84] + [0] * 32, np.uint8)).tolist()
    [64.0]
    """
    data = np.asarray(data)
    if data.dtype != np.uint8 or data.ndim == 0 or data.shape[-1] % 36:
        raise ValueError(f"data must be uint8 (..., k * 36), got {data.dtype} {data.shape}")
    return from_half(data.reshape(*data.shape[:-1], data.shape[-1] // 36, 36)[..., 2:4])


def _explain(values: F32) -> Sequence[Step]:
    block = padded_block(values, block_size=32)
    data = encode(block)
    largest, codes = np.abs(block).max(), data[4:].view(np.int8)
    d = largest / np.float32(127)
    steps = [
        Step("d", f"max |x| / 127 = {number(largest)} / 127, in float32", number(d)),
        Step("d stored", "nearest half", number(from_half(data[:2]))),
        Step("s stored", f"half(d * {int(codes.sum(dtype=int))})", number(from_half(data[2:4]))),
        Step("q", "round(x * (1/d)), ties away from zero", "int8"),
    ]
    shown = [f"{int(q)} = 0x{int(q) & 255:02x}" for q in codes]
    return [*steps, *value_steps(values, shown, decode(data))]


CARD = Card(
    name="q8_1",
    title="ggml Q8_1: Q8_0 and the sum of the block",
    bits_per_value=9.0,
    block_size=32,
    layout="byte 0..1: d, f16\nbyte 2..3: s, f16, d * sum of q\nbyte 4..35: q[0..31], int8",
    equation="x = d * q; d = max|x| / 127, q = round_half_away(x * (1/d)), s = d * sum(q)",
    source="ggml src/ggml-quants.c, quantize_row_q8_1_ref",
    explain=_explain,
)
