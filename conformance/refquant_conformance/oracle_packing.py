r"""The exact oracle of packing: a row of codes as one long integer, or word by word.

============  ==========================================================================
low_first     :math:`\sum_k c_k 2^{bk}`, its bytes the lowest first
high_first    :math:`\sum_k c_k 2^{b(n - 1 - k)}`, filled up with zeros below, highest first
halves        32 codes of 4 bits in 16 bytes: the first half low, the second half high
awq           8 codes of 4 bits in a word, in the order 0 2 4 6 1 3 5 7 from the lowest up
words32       as many codes as go into 32 bits, from the lowest up, and zeros above them
============  ==========================================================================

References
----------
ONNX ``TensorProto`` (INT4); ggml ``block_q4_0``; AutoAWQ ``pack_intweight``; compressed-tensors
``pack_to_int32``.
"""

from collections.abc import Sequence

__all__ = ["pack_exact", "unpack_exact"]

_AWQ = (0, 2, 4, 6, 1, 3, 5, 7)


def pack_exact(codes: Sequence[int], *, num_bits: int, order: str) -> bytes:
    """Return the bytes of a row of codes that are not negative.

    >>> pack_exact([1, 2, 3], num_bits=4, order="low_first").hex()
    '2103'
    >>> pack_exact([1, 2, 3], num_bits=4, order="high_first").hex()
    '1230'
    """
    if order == "low_first":
        total = sum(code << (num_bits * k) for k, code in enumerate(codes))
        return total.to_bytes(-(-len(codes) * num_bits // 8), "little")
    if order == "high_first":
        size = -(-len(codes) * num_bits // 8)
        total = 0
        for code in codes:
            total = total << num_bits | code
        return (total << (8 * size - num_bits * len(codes))).to_bytes(size, "big")
    if order == "halves":
        whole = [*codes, *[0] * (-len(codes) % 32)]
        blocks = [whole[at : at + 32] for at in range(0, len(whole), 32)]
        return bytes(block[j] + 16 * block[j + 16] for block in blocks for j in range(16))
    each = 8 if order == "awq" else 32 // num_bits
    whole = [*codes, *[0] * (-len(codes) % each)]
    made = b""
    for at in range(0, len(whole), each):
        own = whole[at : at + each]
        turned = [own[j] for j in _AWQ] if order == "awq" else own
        word = sum(code << (num_bits * k) for k, code in enumerate(turned))
        made += word.to_bytes(4, "little")
    return made


def unpack_exact(data: bytes, *, num_bits: int, count: int, order: str) -> list[int]:
    """Return the codes of a row: each is what it must be for its bits to stand where they stand.

    >>> unpack_exact(bytes([0x21, 0xF3]), num_bits=4, count=3, order="low_first")
    [1, 2, 3]
    """
    found = []
    for k in range(count):
        code = 0
        for j in range(num_bits):
            alone = [0] * count
            alone[k] = 1 << j
            at = int.from_bytes(pack_exact(alone, num_bits=num_bits, order=order), "little")
            code |= (1 << j) * bool(int.from_bytes(data, "little") & at)
        found.append(code)
    return found
