r"""bitsandbytes, 4 bits (NF4 and FP4): two codes a byte, the first in the *high* nibble.

The tensor is flattened, row-major, without regard to rows, and stored as a column of bytes::

    byte 0   |  q0   |  q1   |
    byte 1   |  q2   |  q3   |          shape (ceil(elements / 2), 1)
             bit 7       bit 0

.. math::

    \text{byte}_k = 16\, q_{2k} + q_{2k + 1}                                       \tag{1}

That is the other order than everyone else's: a reader that takes the low nibble first swaps
neighbours, which no histogram of the codes shows. An odd number of elements is padded with the
value 0.0, so the last low nibble holds the *code* of 0.0: 7 in NF4, 0 in FP4. The reader ignores
it.
Four codes 1, 2, 3, 4 are the bytes 0x12, 0x34; three, in NF4, 0x12, 0x37.
onnxruntime's ``MatMulBnb4`` has the same bytes. Left out: absmax, the quant state, and storage of
the bytes as another dtype (``bnb_4bit_quant_storage``), which is a view.

References
----------
bitsandbytes ``backends/default/ops.py`` (``quantize_4bit``), ``csrc/kernels.cu``.
"""

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import checked_codes, checked_packed

__all__ = ["CARD", "ZERO_CODE", "pack", "unpack"]

ZERO_CODE = {"nf4": 7, "fp4": 0}
"""The code of 0.0, which fills the last byte of an odd number of elements."""


def pack(codes: NDArray[np.integer[Any]], *, quant_type: str) -> NDArray[np.uint8]:
    """Return uint8 (ceil(elements / 2), 1) of codes of any shape, 0 to 15: eq. (1).

    ``quant_type`` is ``nf4`` or ``fp4``; it says what an odd number of elements is filled with.

    >>> pack(np.array([1, 2, 3]), quant_type="nf4").tolist()
    [[18], [55]]
    """
    if quant_type not in ZERO_CODE:
        raise ValueError(f"quant_type must be one of {', '.join(ZERO_CODE)}; got {quant_type!r}")
    fields = checked_codes(codes, num_bits=4).reshape(-1).astype(np.uint8)
    if fields.size % 2:
        fields = np.append(fields, np.uint8(ZERO_CODE[quant_type]))
    return ((fields[::2] << np.uint8(4)) | fields[1::2])[:, None]


def unpack(packed: NDArray[np.uint8], *, shape: Sequence[int]) -> NDArray[np.uint8]:
    """Return the codes, uint8 of ``shape``, in ``packed``: the inverse of ``pack``.

    The nibble behind the last element is ignored, as bitsandbytes does.

    >>> unpack(np.array([[0x12], [0x37]], np.uint8), shape=(3,)).tolist()
    [1, 2, 3]
    """
    count = prod(shape)
    column = checked_packed(packed, dtype="uint8", shape=(-(-count // 2), 1))
    pairs = np.concatenate([column >> np.uint8(4), column & np.uint8(15)], axis=1)
    return np.asarray(pairs.reshape(-1)[:count].reshape(tuple(shape)), np.uint8)


CARD = packing_card(
    name="bnb_4bit_packing",
    title="bitsandbytes 4-bit weight (values are codes, 0 to 15)",
    num_bits=4,
    block_size=2,
    layout="byte: |  q0   |  q1   |   bit 7 first: the first code is the high nibble",
    equation="byte = 16 * q0 + q1",
    source="bitsandbytes backends/default/ops.py, quantize_4bit",
    pack=lambda codes: pack(codes, quant_type="nf4"),
)
