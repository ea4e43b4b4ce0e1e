r"""Q6_K: 6-bit codes with a signed 8-bit scale for every 16, and no minimum.

The K-quant nearest to 8 bits, in which most files keep the last layer. Of a code, the low four bits
and the top two are stored apart. A super-block of 256 is 210 bytes, 6.5625 bits a weight::

    byte   0                     128                 192          208    210
           +---------------------+-------------------+------------+------+
           | ql                  | qh                | scales     | d    |
           | 256 low four bits   | 256 top two bits  | 16 s, int8 | f16  |
           +---------------------+-------------------+------------+------+

``ql`` as in ``k_blocks.py``, 4 bits, stride **64**; ``qh`` 2 bits, stride 32. With the low bits l,
the top bits h, and j = floor(i / 16),

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i), \quad q_i = l_i + 16 h_i - 32 = -32 \ldots 31 \tag{1}

rounds once: d s is exact (11 + 8 bits), the product takes up to 25 bits. Encoding: every sub-block
by ``k_search.fit_scale`` with weights :math:`x_i^2`, or the importance alone (not times anything,
unlike in the other K-quants); then d and :math:`s_j` by ``k_symmetric.py`` eq. (2), at most 127.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q6_K_ref``, ``quantize_row_q6_K_impl``,
``dequantize_row_q6_K``; ``src/ggml-common.h``: ``block_q6_K``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows, to_half
from refquant.formats.ggml.k_blocks import (
    columns,
    encode_super_blocks,
    pack_planes,
    rows,
    unpack_planes,
)
from refquant.formats.ggml.k_explain import explain_symmetric
from refquant.formats.ggml.k_search import GROUP_MAX_EPS, fit_scale, signed_max
from refquant.formats.ggml.k_symmetric import decode_symmetric, largest_scale, recode_symmetric

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as bytes (..., n / 256 * 210).

    ``importance`` and errors as in ``q4_k.encode``. A sub-block below 1e-15 has s = 0 and stored
    codes 0; a super-block without any scale of 1e-15 is 210 zero bytes.

    >>> x = np.tile(np.arange(-32, 32, dtype=np.float32), 4)
    >>> encode(x).shape, encode(x)[192:].tolist()
    ((210,), [128, 192, 62, 127, 128, 192, 62, 127, 128, 192, 62, 127, 128, 192, 62, 127, 0, 160])
    """
    return encode_super_blocks(x, importance, type="Q6_K", halves=(208,), function=_encode)


def decode(data: U8) -> F32:
    """Return the float32 values (..., k * 256) of bytes (..., k * 210): eq. (1).

    >>> data = np.zeros(210, np.uint8)
    >>> data[0], data[128], data[192], data[209] = 5, 2, 254, 60  # q 5 + 32 - 32, s -2, d 1
    >>> decode(data)[:2].tolist()
    [-10.0, 64.0]
    """
    return decode_rows(data, type="Q6_K", function=_decode)


def _encode(blocks: F32, importance: F32 | None) -> U8:
    """Return (m, 210) bytes of (m, 256) values."""
    x = columns(blocks, 16)
    weights = x * x if importance is None else columns(importance, 16)
    scale, searched = fit_scale(x, weights, nmax=32)
    scale = columns(scale[None], 16)
    d, whole = largest_scale(scale, scale_max=128)
    stored = rows(np.minimum(whole, 127).astype(np.int8), 16)
    half = to_half(d)
    codes = recode_symmetric(blocks, searched, half, stored.astype(np.int32), qmax=31)
    ql = pack_planes(codes & np.uint8(15), num_bits=4, stride=64)
    qh = pack_planes(codes >> np.uint8(4), num_bits=2, stride=32)
    data = np.concatenate([ql, qh, stored.view(np.uint8), half], axis=1)
    data[np.abs(signed_max(scale)) < GROUP_MAX_EPS] = 0
    return data


def _parts(data: U8) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """Return the signed scales (m, 16) and the signed codes (m, 256)."""
    codes = unpack_planes(data[:, :128], num_bits=4, stride=64)
    codes |= unpack_planes(data[:, 128:192], num_bits=2, stride=32) << np.uint8(4)
    return data[:, 192:208].view(np.int8), codes.view(np.int8) - np.int8(32)


def _decode(data: U8) -> F32:
    """Return (m, 256) values of (m, 210) bytes."""
    scales, codes = _parts(data)
    return decode_symmetric(data[:, 208:210], scales, codes)


def _explain(values: F32) -> Sequence[Step]:
    def search(x: F32) -> F32:
        return fit_scale(x, x * x, nmax=32)[0]

    return explain_symmetric(
        values, encode=encode, parts=_parts, search=search, scale_max=128, half=208
    )


CARD = Card(
    name="q6_k",
    title="ggml Q6_K: 6-bit codes, signed scale for 16, one half for 256",
    bits_per_value=6.5625,
    block_size=256,
    layout="byte 0..127: ql, byte 64 k + l = low bits of q[128 k + l] + 32, and + 64, << 4\n"
    "byte 128..191: qh, byte 32 k + l = top bits of q[128 k + l] + 32, + 32, + 64, + 96\n"
    "byte 192..207: 16 scales, int8\n"
    "byte 208..209: d, f16",
    equation="x = d * s[i / 16] * q[i]",
    source="ggml src/ggml-quants.c, quantize_row_q6_K_ref and _impl",
    explain=_explain,
)
