r"""Q2_K: 2-bit codes with a scale and a minimum for every 16, in a nibble each.

With four codes a value, where the grid lies is all: a sub-block is only 16 values, and its scale
and minimum together take one byte. A super-block of 256 is 84 bytes, 2.625 bits a weight::

    byte   0             16                  80     82     84
           +-------------+-------------------+------+------+
           | 16 bytes    | qs                | d    | dmin |
           | m_j | s_j   | 256 codes, 2 bits | f16  | f16  |
           +-------------+-------------------+------+------+

with :math:`s_j` in bits 0 to 3 and :math:`m_j` in bits 4 to 7 of byte j; ``qs`` as in
``k_blocks.py``, 2 bits, stride 32. With j = floor(i / 16),

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i - d_{min} m_j), \quad q_i = 0 \ldots 3       \tag{1}

which rounds once (11 + 4 + 2 bits). Encoding is that of ``k_affine.py`` with, without importance,
weights :math:`|x_i|`, the *absolute* error, and the grids r = -0.5, :math:`\delta = 0.1`, t = 0 to
15; with importance c = 1, the squared error, r = -0.9, :math:`\delta = 0.05`, t = 0 to 36.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q2_K_ref``, ``quantize_row_q2_K_impl``,
``dequantize_row_q2_K``; ``src/ggml-common.h``: ``block_q2_K``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows
from refquant.formats.ggml.k_affine import AffineKind, decode_affine, fit_affine, recode
from refquant.formats.ggml.k_blocks import encode_super_blocks, pack_planes, unpack_planes
from refquant.formats.ggml.k_explain import explain_affine
from refquant.formats.ggml.k_grids import Grids

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_KIND = AffineKind(
    size=16,
    scale_max=15,
    sigma_factor=1,
    plain_weights=np.abs,
    plain=Grids(nmax=3, start=-0.5, delta=0.1, steps=15, absolute_error=True),
    weighted=Grids(nmax=3, start=-0.9, delta=0.05, steps=36),
)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as bytes (..., n / 256 * 84).

    ``importance``, errors and special blocks as in ``q4_k.encode``.

    >>> x = np.tile(np.arange(4, dtype=np.float32), 64)
    >>> encode(x).shape, encode(x)[[0, 16, 17]].tolist(), decode(encode(x))[:4].tolist()
    ((84,), [15, 0, 85], [0.0, 0.999755859375, 1.99951171875, 2.999267578125])
    """
    return encode_super_blocks(x, importance, type="Q2_K", halves=(80, 82), function=_encode)


def decode(data: U8) -> F32:
    """Return the float32 values (..., k * 256) of bytes (..., k * 84): eq. (1).

    >>> data = np.zeros(84, np.uint8)
    >>> data[0], data[16], data[81], data[83] = 0x32, 3, 60, 56  # s 2, m 3, q 3, d 1, dmin 0.5
    >>> decode(data)[:2].tolist()
    [4.5, -1.5]
    """
    return decode_rows(data, type="Q2_K", function=_decode)


def _encode(blocks: F32, importance: F32 | None) -> U8:
    """Return (m, 84) bytes of (m, 256) values."""
    fit = fit_affine(blocks, importance, _KIND)
    packed = fit.scales | (fit.minimums << np.uint8(4))
    codes = recode(blocks, fit, packed & np.uint8(15), packed >> np.uint8(4), _KIND)
    qs = pack_planes(codes, num_bits=2, stride=32)
    return np.concatenate([packed, qs, fit.d, fit.dmin], axis=1)


def _parts(data: U8) -> tuple[U8, U8, U8]:
    """Return scales and minimums, each (m, 16), and codes (m, 256)."""
    codes = unpack_planes(data[:, 16:80], num_bits=2, stride=32)
    return data[:, :16] & np.uint8(15), data[:, :16] >> np.uint8(4), codes


def _decode(data: U8) -> F32:
    """Return (m, 256) values of (m, 84) bytes."""
    return decode_affine(data[:, 80:82], data[:, 82:84], *_parts(data))


def _explain(values: F32) -> Sequence[Step]:
    return explain_affine(
        values, encode=encode, parts=_parts, kind=_KIND, halves=(80, 82), num_bits=2
    )


CARD = Card(
    name="q2_k",
    title="ggml Q2_K: 2-bit codes, scale and minimum for 16, two halves for 256",
    bits_per_value=2.625,
    block_size=256,
    layout="byte j = 0..15: s[j] | m[j] << 4\n"
    "byte 16..79: qs, byte 32 k + l = q[128 k + l], + 32, + 64, + 96, 2 bits each, low first\n"
    "byte 80..81: d, f16\nbyte 82..83: dmin, f16",
    equation="x = d * s[i / 16] * q[i] - dmin * m[i / 16]",
    source="ggml src/ggml-quants.c, quantize_row_q2_K_ref and _impl",
    explain=_explain,
)
