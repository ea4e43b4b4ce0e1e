r"""Q3_K: 3-bit codes with a signed 6-bit scale for every 16, and no minimum.

Three bits fit no byte, so the low two and the top one are stored apart; the top bit is *inverted*:
0 means that 4 is subtracted. A super-block of 256 is 110 bytes, 3.4375 bits a weight::

    byte   0              32                  96          108    110
           +--------------+-------------------+-----------+------+
           | hmask        | qs                | scales    | d    |
           | 256 top bits | 256 low two bits  | 16 s      | f16  |
           +--------------+-------------------+-----------+------+

``scales`` as in ``k_scales.py``, stored plus 32; ``qs`` and ``hmask`` as in ``k_blocks.py``, 2 bits
and 1 bit, stride 32. With the low bits l, the top bit h, and j = floor(i / 16),

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i), \quad
    q_i = l_i + 4 h_i - 4 = -4 \ldots 3, \quad s_j = -32 \ldots 31                 \tag{1}

is exact (11 + 6 + 3 bits). Encoding without importance: every sub-block by coordinate descent
(``k_descent.fit_signed``), then d and :math:`s_j` by ``k_symmetric.py`` eq. (2), limited to
-32..31. With importance h: weights :math:`w_i = h_i \sqrt{2 \sum_{256} x^2 / 256 + x_i^2}`, every
sub-block by ``k_search.fit_scale``, and d and :math:`s_j` by the same search over the 16 scales,
with the sum of w in each sub-block as its weight.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q3_K_ref``, ``quantize_row_q3_K_impl``,
``dequantize_row_q3_K``; ``src/ggml-common.h``: ``block_q3_K``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows, to_half
from refquant.formats.ggml.k_affine import importance_weights
from refquant.formats.ggml.k_blocks import (
    columns,
    encode_super_blocks,
    pack_planes,
    rows,
    unpack_planes,
)
from refquant.formats.ggml.k_descent import fit_signed
from refquant.formats.ggml.k_explain import explain_symmetric
from refquant.formats.ggml.k_scales import pack_scales, unpack_scales
from refquant.formats.ggml.k_search import fit_scale, sequential_sum
from refquant.formats.ggml.k_symmetric import decode_symmetric, largest_scale, recode_symmetric

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as bytes (..., n / 256 * 110).

    ``importance`` and errors as in ``q4_k.encode``. A sub-block below 1e-15 has s = 0 (stored 32)
    and, without importance, stored codes 0; a super-block of zeros has d = 0 and all s stored 0.

    >>> x = np.tile(np.arange(-4, 4, dtype=np.float32), 32)
    >>> encode(x).shape, decode(encode(x))[:8].tolist()
    ((110,), [-4.0, -3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0])
    """
    return encode_super_blocks(x, importance, type="Q3_K", halves=(108,), function=_encode)


def decode(data: U8) -> F32:
    """Return the float32 values (..., k * 256) of bytes (..., k * 110): eq. (1).

    >>> data = np.zeros(110, np.uint8)
    >>> data[0], data[32], data[96], data[104], data[109] = 1, 3, 2, 2, 60  # s 2 + 32 - 32, d 1
    >>> decode(data)[:2].tolist()  # q 3 + 4 - 4, and 0 + 0 - 4
    [6.0, -8.0]
    """
    return decode_rows(data, type="Q3_K", function=_decode)


def _encode(blocks: F32, importance: F32 | None) -> U8:
    """Return (m, 110) bytes of (m, 256) values."""
    x = columns(blocks, 16)
    if importance is None:
        scale, searched = fit_signed(x, nmax=4)
        d, whole = largest_scale(columns(scale[None], 16), scale_max=32)
        stored = np.clip(whole.astype(np.int8), -32, 31).astype(np.uint8) + np.uint8(32)
        # Where there is no scale at all, ggml clears the field and does not add 32.
        stored = np.where(d != 0, stored, np.uint8(0))
    else:
        w = importance_weights(blocks, importance, size=16, factor=2)
        scale, searched = fit_scale(x, w, nmax=4)
        sum_w = columns(sequential_sum(w)[None], 16)
        d, stored = fit_scale(columns(scale[None], 16), sum_w, nmax=32)
    half, packed = to_half(d), pack_scales(rows(stored, 16))
    scales = rows(stored, 16).astype(np.int32) - 32
    codes = recode_symmetric(blocks, searched, half, scales, qmax=3)
    hmask = pack_planes(codes >> np.uint8(2), num_bits=1, stride=32)
    qs = pack_planes(codes & np.uint8(3), num_bits=2, stride=32)
    return np.concatenate([hmask, qs, packed, half], axis=1)


def _parts(data: U8) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the signed scales (m, 16) and the signed codes (m, 256)."""
    codes = unpack_planes(data[:, 32:96], num_bits=2, stride=32)
    codes |= unpack_planes(data[:, :32], num_bits=1, stride=32) << np.uint8(2)
    scales = unpack_scales(data[:, 96:108])
    return scales.view(np.int8) - np.int8(32), codes.view(np.int8) - np.int8(4)


def _decode(data: U8) -> F32:
    """Return (m, 256) values of (m, 110) bytes."""
    scales, codes = _parts(data)
    return decode_symmetric(data[:, 108:110], scales, codes)


def _explain(values: F32) -> Sequence[Step]:
    def search(x: F32) -> F32:
        return fit_signed(x, nmax=4)[0]

    return explain_symmetric(
        values, encode=encode, parts=_parts, search=search, scale_max=32, half=108
    )


CARD = Card(
    name="q3_k",
    title="ggml Q3_K: 3-bit codes, signed scale for 16, one half for 256",
    bits_per_value=3.4375,
    block_size=256,
    layout="byte 0..31: hmask, bit k of byte l = top bit of q[32 k + l] + 4\n"
    "byte 32..95: qs, byte 32 k + l = low bits of q[128 k + l] + 4, + 32, + 64, + 96\n"
    "byte 96..107: 16 scales of 6 bits, plus 32\n"
    "byte 108..109: d, f16",
    equation="x = d * s[i / 16] * q[i]",
    source="ggml src/ggml-quants.c, quantize_row_q3_K_ref and _impl",
    explain=_explain,
)
