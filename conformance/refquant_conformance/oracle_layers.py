r"""The exact oracle of layers in containers: one word, one code, one weight at a time.

A layer has codes q (K, N), K in_features and N out_features, and zero points z (groups, N), all of
4 bits. A word of 32 bits holds eight of them, and the i-th field from the lowest up is of

.. math::

    \mathtt{gptq}: &\ \text{qweight}_{w,n}: q_{8w + i,\,n}, \qquad
    \text{qzeros}_{g,w}: f(z_{g,\,8w + i})                                          \tag{1} \\
    \mathtt{awq}: &\ \text{qweight}_{k,w}: q_{k,\,8w + e_i}, \qquad
    \text{qzeros}_{g,w}: z_{g,\,8w + e_i}, \quad e = (0, 2, 4, 6, 1, 3, 5, 7)

with f(z) = z - 1 (refused for 0), the same modulo 16, or z.

References
----------
AutoGPTQ ``qlinear_cuda_old.py``; GPTQModel ``utils/model.py``; AutoAWQ ``pack_intweight``.
"""

from collections.abc import Sequence
from fractions import Fraction

from refquant_conformance.rational import float32

__all__ = ["field_exact", "stored_zero", "weight_exact", "word_exact"]

_AWQ = (0, 2, 4, 6, 1, 3, 5, 7)


def stored_zero(zero: int, rule: str) -> int | None:
    """Return f(z); None where a rule has no number for it.

    >>> [stored_zero(0, rule) for rule in ("v1", "v1_wrap", "v2")]
    [None, 15, 0]
    """
    if rule == "v2":
        return zero
    if rule == "v1":
        return zero - 1 if zero > 0 else None
    return (zero - 1) % 16


def word_exact(fields: Sequence[int], *, awq: bool) -> int:
    """Return the int32 of eight neighbours.

    >>> hex(word_exact([1, 2, 3, 0, 0, 0, 0, 0], awq=False))
    '0x321'
    """
    order = _AWQ if awq else range(8)
    word = sum(fields[e] << 4 * i for i, e in enumerate(order))
    return word - 2**32 if word >= 2**31 else word


def field_exact(word: int, place: int, *, awq: bool) -> int:
    """Return the neighbour number ``place`` of a word.

    >>> field_exact(0x321, 1, awq=False), field_exact(0x321, 2, awq=True)
    (2, 2)
    """
    at = _AWQ.index(place) if awq else place
    return word >> 4 * at & 15


def weight_exact(code: int, zero: int, scale: float) -> float:
    """Return the float32 nearest to s (q - z).

    >>> weight_exact(3, 8, 0.5)
    -2.5
    """
    return float32(Fraction(scale) * (code - zero))
