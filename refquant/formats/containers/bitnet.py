r"""BitNet b1.58: ternary codes -1, 0, 1 as fields 0, 1, 2 of two bits, in four orders.

bitnet.cpp's GGUF type **I2_S** is three layouts under one number: which one a file has depends on
the machine, and the build, that quantized it::

    i2_s_x86    blocks of 128 of the flat tensor, 32 bytes each
                byte j  | q[j] | q[j + 32] | q[j + 64] | q[j + 96] |
    i2_s_arm    blocks of 64, 16 bytes each
                byte j  | q[j] | q[j + 16] | q[j + 32] | q[j + 48] |
    i2_s_rows   (x86 built without ACT_PARALLEL) four rows together, a byte a column
                byte c  | q[4R, c] | q[4R + 1, c] | q[4R + 2, c] | q[4R + 3, c] |

and Hugging Face checkpoints (**hf**) cut the rows in quarters of R = ceil(rows / 4), lowest first::

    hf          byte (r, c)  | q[3R + r, c] | q[2R + r, c] | q[R + r, c] | q[r, c] |
                        bit 7                                               bit 0

.. math::

    u = q + 1, \qquad \text{byte}_{kG + j} = \sum_{i < 4} u_{4kG + iG + j}\, 4^{3 - i},
    \quad j < G \text{ (I2\_S)}                                                   \tag{1}

with G = 32, 16, or, in ``i2_s_rows``, the number of columns.

No field is 3, so a 3 on reading means damage, or no BitNet, and is refused. In the layout ``hf`` a
row that is not there has field 0, which would be code -1. An I2_S tensor is followed by 32 bytes of
which the first four are its float32 scale (``pack_tensor``); what the C++ code leaves in the other
28 is arbitrary. bitnet.cpp drops what does not fill a block; that is refused. Left out: TL1, TL2
(tables of a kernel), the GPU layout, ggml's own TQ1_0 and TQ2_0.

References
----------
microsoft/BitNet ``src/ggml-bitnet-mad.cpp`` (``quantize_i2_s``), ``include/gemm-config.h``;
transformers ``integrations/bitnet.py`` (``pack_weights``).
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers import quanto
from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_packed

__all__ = ["CARDS", "LAYOUTS", "TAIL_BYTES", "pack", "pack_tensor", "unpack", "unpack_tensor"]

Codes = NDArray[np.integer[Any]]
U8 = NDArray[np.uint8]

LAYOUTS = ("i2_s_x86", "i2_s_arm", "i2_s_rows", "hf")
TAIL_BYTES = 32
_GROUP = {"i2_s_x86": 32, "i2_s_arm": 16}
_SHIFTS = np.array([6, 4, 2, 0], np.uint8)


def pack(codes: Codes, *, layout: str) -> U8:
    """Return the bytes of ternary codes (rows, columns): eq. (1), without a scale.

    I2_S layouts give uint8 (rows * columns / 4,), ``hf`` (ceil(rows / 4), columns). ``ValueError``
    for a code that is not -1, 0 or 1, for elements that do not fill blocks of 128 (``i2_s_x86``) or
    64 (``i2_s_arm``), and for rows that are not in fours (``i2_s_rows``).

    >>> q = np.array([[1], [-1], [0], [1]])
    >>> [bin(int(pack(q, layout=layout).ravel()[0])) for layout in ("i2_s_rows", "hf")]
    ['0b10000110', '0b10010010']
    """
    _check(layout)
    codes = np.asarray(codes)
    if codes.dtype.kind not in "iu" or codes.ndim != 2:
        raise ValueError(f"codes must be integers of 2 axes, got {codes.dtype} {codes.shape}")
    if codes.size and not (int(codes.min()) >= -1 and int(codes.max()) <= 1):
        raise ValueError(f"codes must be -1, 0 or 1, got {int(codes.min())}..{int(codes.max())}")
    fields = (codes.astype(np.int8) + np.int8(1)).astype(np.uint8)
    if layout == "hf":
        return quanto.pack(fields, num_bits=2)
    outer, inner = _block(codes.shape, layout)
    blocks = fields.reshape(outer, 4, inner)
    packed = np.bitwise_or.reduce(blocks << _SHIFTS[:, None], axis=1)
    return np.asarray(packed.reshape(-1), np.uint8)


def unpack(packed: U8, *, layout: str, shape: Sequence[int]) -> NDArray[np.int8]:
    """Return the codes, int8 of ``shape`` (rows, columns): the inverse of ``pack``.

    ``ValueError`` for a field of 3, and for a row of ``hf`` that is not there and not zero bits.

    >>> unpack(np.array([0b10000110], np.uint8), layout="i2_s_rows", shape=(4, 1)).T.tolist()
    [[1, -1, 0, 1]]
    """
    _check(layout)
    if len(shape) != 2:
        raise ValueError(f"shape must have 2 axes, got {tuple(shape)}")
    if layout == "hf":
        fields = quanto.unpack(packed, num_bits=2, shape=shape)
    else:
        outer, inner = _block(shape, layout)
        data = checked_packed(packed, dtype="uint8", shape=(prod(shape) // 4,))
        parts = data.reshape(outer, 1, inner) >> _SHIFTS[:, None]
        fields = (parts & np.uint8(3)).reshape(tuple(shape))
    if (fields == 3).any():
        raise ValueError("a field of two bits must be 0, 1 or 2, got 3: no ternary code")
    return fields.astype(np.int8) - np.int8(1)


def pack_tensor(codes: Codes, scale: float, *, layout: str) -> U8:
    """Return a whole I2_S tensor: the bytes, the float32 ``scale``, and 28 bytes of zero.

    >>> pack_tensor(np.zeros((4, 1), np.int8), 1.5, layout="i2_s_rows")[:5].tolist()
    [85, 0, 0, 192, 63]
    """
    _check(layout, tensor=True)
    tail = np.zeros(TAIL_BYTES, np.uint8)
    tail[:4] = np.array([scale], "<f4").view(np.uint8)
    return np.concatenate([pack(codes, layout=layout), tail])


def unpack_tensor(
    data: U8, *, layout: str, shape: Sequence[int]
) -> tuple[NDArray[np.int8], np.float32]:
    """Return codes and scale of a whole I2_S tensor; the 28 bytes behind the scale are ignored.

    >>> data = pack_tensor(np.zeros((4, 1), np.int8), 1.5, layout="i2_s_rows")
    >>> float(unpack_tensor(data, layout="i2_s_rows", shape=(4, 1))[1])
    1.5
    """
    _check(layout, tensor=True)
    size = prod(shape) // 4
    data = checked_packed(data, dtype="uint8", shape=(size + TAIL_BYTES,), name="data")
    scale = data[size : size + 4].copy().view("<f4")[0]
    return unpack(data[:size], layout=layout, shape=shape), np.float32(scale)


def _block(shape: Sequence[int], layout: str) -> tuple[int, int]:
    """Return (blocks, bytes of a block): four runs of that many elements make up a block."""
    rows, columns = shape
    if layout == "i2_s_rows":
        if rows % 4:
            raise ValueError(f"rows must be a multiple of 4 for {layout}, got {rows}")
        return rows // 4, columns
    group = _GROUP[layout]
    if rows * columns % (4 * group):
        raise ValueError(
            f"elements must be a multiple of {4 * group} for {layout}, got {rows} * {columns}"
        )
    return rows * columns // (4 * group), group


def _check(layout: str, *, tensor: bool = False) -> None:
    known = LAYOUTS[:3] if tensor else LAYOUTS
    if layout not in known:
        raise ValueError(f"layout must be one of {', '.join(known)}; got {layout!r}")


CARDS = (
    packing_card(
        name="bitnet_i2_s_x86_packing",
        title="BitNet I2_S as an x86 machine writes it (values are codes, -1 to 1)",
        num_bits=2,
        block_size=128,
        layout="byte j of 32: | q[j] | q[j + 32] | q[j + 64] | q[j + 96] |   bit 7 first",
        equation="byte j = sum (q[j + 32 i] + 1) * 4^(3 - i), i < 4",
        source="microsoft/BitNet src/ggml-bitnet-mad.cpp, quantize_i2_s",
        pack=lambda codes: pack(codes[None], layout="i2_s_x86"),
        low=-1,
    ),
    packing_card(
        name="bitnet_i2_s_arm_packing",
        title="BitNet I2_S as an ARM machine writes it (values are codes, -1 to 1)",
        num_bits=2,
        block_size=64,
        layout="byte j of 16: | q[j] | q[j + 16] | q[j + 32] | q[j + 48] |   bit 7 first",
        equation="byte j = sum (q[j + 16 i] + 1) * 4^(3 - i), i < 4",
        source="microsoft/BitNet src/ggml-bitnet-mad.cpp, quantize_i2_s",
        pack=lambda codes: pack(codes[None], layout="i2_s_arm"),
        low=-1,
    ),
    packing_card(
        name="bitnet_hf_packing",
        title="BitNet in Hugging Face checkpoints, a column of rows (values are codes, -1 to 1)",
        num_bits=2,
        block_size=0,
        step=1,
        layout="byte r of R = ceil(rows / 4): | q[3R + r] | q[2R + r] | q[R + r] | q[r] |",
        equation="byte r = sum (q[i R + r] + 1) * 4^i, i < 4",
        source="transformers integrations/bitnet.py, pack_weights",
        pack=lambda codes: pack(codes[:, None], layout="hf"),
        low=-1,
    ),
)
