r"""Q4_K: 4-bit codes with a scale and a minimum for every 32, themselves 6-bit codes.

A group of 32 weights wants its own scale and minimum; two halves would cost one bit a weight. Q4_K
stores them as 6-bit multiples of two halves that 256 weights share: 0.375 + 0.125 bits a weight,
4.5 in all. A super-block of 256 is 144 bytes::

    byte   0      2      4             16                       144
           +------+------+-------------+-------------------------+
           | d    | dmin | scales      | qs                      |
           | f16  | f16  | 8 s, 8 m    | 256 codes of 4 bits     |
           +------+------+-------------+-------------------------+

``scales`` as in ``k_scales.py`` eq. (1); ``qs`` as in ``k_blocks.py``, 4 bits, stride 32: byte l of
run j (0 to 3) holds code 64 j + l below and 64 j + 32 + l above. With j = floor(i / 32),

.. math::

    \hat x_i = \mathrm{f32}(d s_j q_i - d_{min} m_j)                               \tag{1}

where :math:`d s_j q_i` and :math:`d_{min} m_j` are exact in float32 (11 + 6 + 4 bits), so eq. (1)
rounds once, and a fused multiply-add would not change it. Encoding, without importance:

.. math::

    w_i &= \sqrt{\textstyle\sum_{32} x^2 / 32} + |x_i|                            \tag{2} \\
    (s, m) &= \text{the search of k\_grids.py eq. (1), (2): } r = -1, \delta = 0.1,
              t = 0 \ldots 20                                                      \tag{3} \\
    d &= \mathrm{f16}(\max_j s_j / 63), \quad s_j \leftarrow \mathrm{round}(s_j \cdot 63 / \max s),
         \quad \text{the same for } m                                              \tag{4} \\
    q_i &= \operatorname{clamp}(\mathrm{round}((x_i + d_{min} m_j) / (d s_j)), 0, 15) \tag{5}

and with importance h: :math:`w_i = h_i \sqrt{2 \sum_{256} x^2 / 256 + x_i^2}`, r = -0.9,
:math:`\delta = 0.05`, t = 0 to 36, and d, :math:`s_j` by ``k_descent.fit_positive`` with the sums
of w as weights. Left out: nothing; Q5_K is the same with one more bit (``q5_k.py``).

References
----------
ggml ``src/ggml-quants.c``: ``quantize_row_q4_K_ref``, ``quantize_row_q4_K_impl``,
``dequantize_row_q4_K``; ``src/ggml-common.h``: ``block_q4_K``.
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

__all__ = ["CARD", "KIND", "decode", "encode"]

F32 = NDArray[np.float32]
U8 = NDArray[np.uint8]

KIND = AffineKind(
    size=32,
    scale_max=63,
    sigma_factor=2,
    plain_weights=rms_plus_magnitude,
    plain=Grids(nmax=15, start=-1.0, delta=0.1, steps=20),
    weighted=Grids(nmax=15, start=-0.9, delta=0.05, steps=36),
)
"""The numbers of eq. (2-5), for ``k_affine.py``."""


def encode(x: F32, *, importance: F32 | None = None) -> U8:
    """Return ``x``, float32 (..., n), as bytes (..., n / 256 * 144): eq. (2-5).

    ``importance``, float32 (n,), weighs the squared error of each column (an "imatrix").
    ``ValueError``: n no multiple of 256; NaN or infinity in ``x`` (the first index is named);
    importance of another size, negative or not finite. An all-zero sub-block has scale and codes
    0. Values beyond 65504 * 63 * 15 or so make ``d`` or ``dmin`` infinite, as in ggml.

    Below, all scales are 1, all minimums 0: d = f16(1 / 63) = 0x2410, s = 63, m = 0.

    >>> x = np.tile(np.arange(16, dtype=np.float32), 16)
    >>> encode(x).shape, encode(x)[:20].tolist()
    ((144,), [16, 36, 0, 0, 255, 255, 255, 255, 0, 0, 0, 0, 15, 15, 15, 15, 0, 17, 34, 51])
    """
    return encode_super_blocks(x, importance, type="Q4_K", halves=(0, 2), function=_encode)


def decode(data: U8) -> F32:
    """Return the float32 values (..., k * 256) of bytes (..., k * 144): eq. (1).

    >>> data = np.zeros(144, np.uint8)
    >>> data[1], data[3], data[4], data[8], data[16] = 60, 56, 2, 3, 5  # d 1, dmin 0.5, s 2, m 3
    >>> decode(data)[:2].tolist()
    [8.5, -1.5]
    """
    return decode_rows(data, type="Q4_K", function=_decode)


def _encode(blocks: F32, importance: F32 | None) -> U8:
    """Return (m, 144) bytes of (m, 256) values."""
    fit = fit_affine(blocks, importance, KIND)
    scales, minimums = fit.scales, fit.minimums
    if importance is None:  # with importance, ggml limits them in Q5_K only
        scales, minimums = np.minimum(scales, 63), np.minimum(minimums, 63)
    packed = pack_scales_min(scales, minimums)
    codes = recode(blocks, fit, *unpack_scales_min(packed), KIND)
    qs = pack_planes(codes, num_bits=4, stride=32)
    return np.concatenate([fit.d, fit.dmin, packed, qs], axis=1)


def _parts(data: U8) -> tuple[U8, U8, U8]:
    """Return scales and minimums, each (m, 8), and codes (m, 256)."""
    codes = unpack_planes(data[:, 16:], num_bits=4, stride=32)
    return (*unpack_scales_min(data[:, 4:16]), codes)


def _decode(data: U8) -> F32:
    """Return (m, 256) values of (m, 144) bytes."""
    return decode_affine(data[:, :2], data[:, 2:4], *_parts(data))


def _explain(values: F32) -> Sequence[Step]:
    return explain_affine(values, encode=encode, parts=_parts, kind=KIND, halves=(0, 2), num_bits=4)


CARD = Card(
    name="q4_k",
    title="ggml Q4_K: 4-bit codes, scale and minimum for 32, two halves for 256",
    bits_per_value=4.5,
    block_size=256,
    layout="byte 0..1: d, f16\nbyte 2..3: dmin, f16\n"
    "byte 4..15: 8 scales and 8 minimums of 6 bits\n"
    "byte 16..143: qs, byte 32 j + l = q[64 j + l] | q[64 j + 32 + l] << 4",
    equation="x = d * s[i / 32] * q[i] - dmin * m[i / 32]",
    source="ggml src/ggml-quants.c, quantize_row_q4_K_ref and _impl",
    explain=_explain,
)
