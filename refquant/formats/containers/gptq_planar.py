r"""GPTQModel's ``gptq_p``: codes cut into planes, so that no code crosses a word.

32 codes of b bits take b words, as in ``gptq``, but the low bits of all of them come first, then
the higher ones, in planes whose widths are the powers of two that make up b, the widest first::

    b = 3: planes of 2 and 1 bits
    word 0 | q15 low pair | ... | q1 low pair | q0 low pair |
    word 1 | q31 low pair | ... | q17         | q16         |
    word 2 | q31 bit 2 | q30 bit 2 | ... | q1 bit 2 | q0 bit 2 |
         bit 31                                          bit 0

.. math::

    b = \sum_p w_p, \quad w_p \in \{8, 4, 2, 1\}, \qquad
    \text{field } i \text{ of plane } p = \lfloor q_i / 2^{o_p} \rfloor \bmod 2^{w_p},
    \quad o_p = \sum_{r < p} w_r                                                  \tag{1}

where b = 8 is one plane. For 2, 4 and 8 bits that is the continuous layout; for 3 it is another one
of the same shape, which no shape tells apart; 5, 6 and 7 exist only so. Plane p is in words o_p to
o_p + w_p - 1 of its group of b, each filled from the lowest bit up. Zero points are stored as they
are (rule ``v2`` of ``gptq``).

References
----------
GPTQModel ``gptqmodel/utils/planar_packing.py``, ``quantization/config.py`` (``FORMAT.GPTQ_P``).
"""

import numpy as np
from numpy.typing import NDArray

from refquant.formats.containers.packing_card import packing_card
from refquant.formats.containers.words import multiple, pack_dense, unpack_dense

__all__ = ["CARD", "pack_planar", "unpack_planar"]

Fields = NDArray[np.uint32]


def pack_planar(fields: Fields, *, num_bits: int) -> Fields:
    """Return uint32 (rows, n * num_bits / 32) of fields (rows, n), n a multiple of 32: eq. (1).

    >>> words = pack_planar(np.array([[7] + 31 * [0]], np.uint32), num_bits=3)
    >>> words.tolist()
    [[3, 0, 1]]
    """
    rows, count = fields.shape
    groups = fields.reshape(rows, multiple(count, 32, name="codes along a row"), 32)
    planes, offset = [], 0
    for width in _planes(num_bits):
        plane = (groups >> np.uint32(offset)) & np.uint32((1 << width) - 1)
        planes.append(pack_dense(plane, num_bits=width))  # (rows, n / 32, width)
        offset += width
    return np.concatenate(planes, axis=2).reshape(rows, count * num_bits // 32)


def unpack_planar(words: Fields, *, num_bits: int) -> Fields:
    """Return the fields, uint32 (rows, n), in words (rows, n * num_bits / 32): the inverse.

    >>> unpack_planar(np.array([[3, 0, 1]], np.uint32), num_bits=3)[0, :2].tolist()
    [7, 0]
    """
    rows, count = words.shape
    groups = multiple(count, num_bits, name="words along a row")
    grouped = words.reshape(rows, groups, num_bits)
    fields, offset = np.zeros((rows, groups, 32), np.uint32), 0
    for width in _planes(num_bits):  # as many words as bits lie before a plane
        plane = grouped[..., offset : offset + width]
        fields |= unpack_dense(plane, num_bits=width, count=32) << np.uint32(offset)
        offset += width
    return fields.reshape(rows, 32 * groups)


def _planes(num_bits: int) -> tuple[int, ...]:
    if not 2 <= num_bits <= 8:
        raise ValueError(f"num_bits must be in 2..8 for the planar layout, got {num_bits}")
    return tuple(width for width in (8, 4, 2, 1) if num_bits & width)


CARD = packing_card(
    name="gptq_int3_planar_packing",
    title="GPTQModel gptq_p qweight, 3 bits, three words (values are codes, 0 to 7)",
    num_bits=3,
    block_size=32,
    layout="two int32 of sixteen low pairs each, then one of 32 high bits",
    equation="code i: bits 2(i mod 16) and up of word floor(i / 16), and bit i of word 2",
    source="GPTQModel gptqmodel/utils/planar_packing.py",
    pack=lambda codes: pack_planar(codes[None].astype(np.uint32), num_bits=3),
)
