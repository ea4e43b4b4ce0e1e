r"""Q5_K: Q4_K with one more bit a code, kept apart.

A fifth bit halves the step; a code of five bits fits no nibble, so the top bits of 256 codes have
32 bytes of their own. A super-block of 256 is 176 bytes, 5.5 bits a weight::

    byte   0      2      4             16           48                        176
           +------+------+-------------+------------+-------------------------+
           | d    | dmin | scales      | qh         | qs                      |
           | f16  | f16  | 8 s, 8 m    | 256 top    | 256 codes, low 4 bits   |
           +------+------+-------------+------------+-------------------------+

``scales`` as in ``k_scales.py`` eq. (1); ``qs`` and ``qh`` as in ``k_blocks.py``, 4 bits and 1 bit,
stride 32: bit k of byte l of ``qh`` belongs to code 32 k + l. With j = floor(i / 32),

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i - d_{min} m_j), \quad q_i = 0 \ldots 31      \tag{1}

rounds once, as in ``q4_k.py``. Encoding is that of ``q4_k.py`` with codes to 31 and, without
importance, the grids r = -0.5, :math:`\delta = 0.1`, t = 0 to 15; with importance, those of Q4_K.

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q5_K_ref``, ``quantize_row_q5_K_impl``,
``dequantize_row_q5_K``; ``src/ggml-common.h``: ``block_q5_K``.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from refquant.formats.card import Card, Step
from refquant.formats.ggml.blocks import decode_rows
from refquant.formats.ggml.k_affine import AffineKind, decode_affine, fit_affine, recode
from refquant.formats.ggml.k_blocks import encode_super_blocks, pack_planes, unpack_planes
from refquant.formats.ggml.k_explain import explain_affine
from refquant.formats.ggml.k_grids import Grids, rms_plus_magnitude
from refquant.formats.ggml.k_scales import pack_scales_min, unpack_scales_min

__all__ = ["CARD", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

_KIND = AffineKind(
    size=32,
    scale_max=63,
    sigma_factor=2,
    plain_weights=rms_plus_magnitude,
    plain=Grids(nmax=31, start=-0.5, delta=0.1, steps=15),
    weighted=Grids(nmax=31, start=-0.9, delta=0.05, steps=36),
)


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as bytes (..., n / 256 * 176).

    ``importance``, errors and special blocks as in ``q4_k.encode``.

    >>> x = np.tile(np.arange(32, dtype=np.float32), 8)
    >>> encode(x).shape, decode(encode(x))[:4].tolist()
    ((176,), [0.0, 0.999755859375, 1.99951171875, 2.999267578125])
    """
    return encode_super_blocks(x, importance, type="Q5_K", halves=(0, 2), function=_encode)


def decode(data: U8) -> F32:
    """Return the float32 values (..., k * 256) of bytes (..., k * 176): eq. (1).

    >>> data = np.zeros(176, np.uint8)
    >>> data[1], data[3], data[4], data[8], data[16], data[48] = 60, 56, 2, 3, 1, 5
    >>> decode(data)[:2].tolist()  # d 1, dmin 0.5, s 2, m 3, q 16 + 5
    [40.5, -1.5]
    """
    return decode_rows(data, type="Q5_K", function=_decode)


def _encode(blocks: F32, importance: F32 | None) -> U8:
    """Return (m, 176) bytes of (m, 256) values."""
    fit = fit_affine(blocks, importance, _KIND)
    packed = pack_scales_min(np.minimum(fit.scales, 63), np.minimum(fit.minimums, 63))
    codes = recode(blocks, fit, *unpack_scales_min(packed), _KIND)
    qh = pack_planes(codes >> np.uint8(4), num_bits=1, stride=32)
    qs = pack_planes(codes & np.uint8(15), num_bits=4, stride=32)
    return np.concatenate([fit.d, fit.dmin, packed, qh, qs], axis=1)


def _parts(data: U8) -> tuple[U8, U8, U8]:
    """Return scales and minimums, each (m, 8), and codes (m, 256)."""
    codes = unpack_planes(data[:, 48:], num_bits=4, stride=32)
    codes |= unpack_planes(data[:, 16:48], num_bits=1, stride=32) << np.uint8(4)
    return (*unpack_scales_min(data[:, 4:16]), codes)


def _decode(data: U8) -> F32:
    """Return (m, 256) values of (m, 176) bytes."""
    return decode_affine(data[:, :2], data[:, 2:4], *_parts(data))


def _explain(values: F32) -> Sequence[Step]:
    return explain_affine(
        values, encode=encode, parts=_parts, kind=_KIND, halves=(0, 2), num_bits=5
    )


CARD = Card(
    name="q5_k",
    title="ggml Q5_K: 5-bit codes, scale and minimum for 32, two halves for 256",
    bits_per_value=5.5,
    block_size=256,
    layout="byte 0..1: d, f16\nbyte 2..3: dmin, f16\n"
    "byte 4..15: 8 scales and 8 minimums of 6 bits\n"
    "byte 16..47: qh, bit k of byte l = top bit of q[32 k + l]\n"
    "byte 48..175: qs, byte 32 j + l = low bits of q[64 j + l] | q[64 j + 32 + l] << 4",
    equation="x = d * s[i / 32] * q[i] - dmin * m[i / 32]",
    source="ggml src/ggml-quants.c, quantize_row_q5_K_ref and _impl",
    explain=_explain,
)
