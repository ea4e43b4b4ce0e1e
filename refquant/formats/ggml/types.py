r"""The types of ggml: the number that stands in a file, and the size of a block.

A tensor of type t is a sequence of blocks along its last axis; a row of n elements takes

.. math::

    \text{bytes}(n) = \frac{n}{\text{block\_size}} \cdot \text{block\_bytes}      \tag{1}

bytes, and n must be a multiple of ``block_size``. What is in a block is the matter of the module
named like the type, in lower case: ``q4_k.py``. Left out: ids that ggml has removed (Q4_2, Q4_3,
and the repacked Q4_0_4_4 and kin), which no reader accepts any more.

References
----------
ggml ``include/ggml.h`` (``enum ggml_type``), ``src/ggml-common.h`` (the blocks' structs).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["GGML_TYPES", "GgmlType", "ggml_type"]


@dataclass(frozen=True, slots=True)
class GgmlType:
    """One type: its name, its id in a file, elements and bytes of a block.

    >>> ggml_type("Q4_K").bits_per_weight
    4.5
    """

    name: str
    id: int
    block_size: int
    block_bytes: int

    @property
    def bits_per_weight(self) -> float:
        """Bits that one element takes on average, scales included."""
        return 8 * self.block_bytes / self.block_size

    def row_bytes(self, elements: int) -> int:
        """Return eq. (1); ``ValueError`` if ``elements`` is no multiple of the block.

        >>> ggml_type("Q8_0").row_bytes(64)
        68
        """
        if elements < 0 or elements % self.block_size:
            raise ValueError(
                f"type {self.name}: a row must be a multiple of {self.block_size} elements, "
                f"got {elements}"
            )
        return elements // self.block_size * self.block_bytes


_TYPES = (
    GgmlType("F32", 0, 1, 4),
    GgmlType("F16", 1, 1, 2),
    GgmlType("Q4_0", 2, 32, 18),
    GgmlType("Q4_1", 3, 32, 20),
    GgmlType("Q5_0", 6, 32, 22),
    GgmlType("Q5_1", 7, 32, 24),
    GgmlType("Q8_0", 8, 32, 34),
    GgmlType("Q8_1", 9, 32, 36),
    GgmlType("Q2_K", 10, 256, 84),
    GgmlType("Q3_K", 11, 256, 110),
    GgmlType("Q4_K", 12, 256, 144),
    GgmlType("Q5_K", 13, 256, 176),
    GgmlType("Q6_K", 14, 256, 210),
    GgmlType("Q8_K", 15, 256, 292),
    GgmlType("IQ2_XXS", 16, 256, 66),
    GgmlType("IQ2_XS", 17, 256, 74),
    GgmlType("IQ3_XXS", 18, 256, 98),
    GgmlType("IQ1_S", 19, 256, 50),
    GgmlType("IQ4_NL", 20, 32, 18),
    GgmlType("IQ3_S", 21, 256, 110),
    GgmlType("IQ2_S", 22, 256, 82),
    GgmlType("IQ4_XS", 23, 256, 136),
    GgmlType("I8", 24, 1, 1),
    GgmlType("I16", 25, 1, 2),
    GgmlType("I32", 26, 1, 4),
    GgmlType("I64", 27, 1, 8),
    GgmlType("F64", 28, 1, 8),
    GgmlType("IQ1_M", 29, 256, 56),
    GgmlType("BF16", 30, 1, 2),
    GgmlType("TQ1_0", 34, 256, 54),
    GgmlType("TQ2_0", 35, 256, 66),
    GgmlType("MXFP4", 39, 32, 17),
    GgmlType("NVFP4", 40, 64, 36),
    GgmlType("Q1_0", 41, 128, 18),
    GgmlType("Q2_0", 42, 64, 18),
)

GGML_TYPES: Mapping[str, GgmlType] = MappingProxyType({each.name: each for each in _TYPES})
"""Every type by name, in the order of the ids."""

_BY_ID = {each.id: each for each in _TYPES}


def ggml_type(key: str | int) -> GgmlType:
    """Return the type of that name (any case) or id; ``ValueError`` lists what there is.

    >>> ggml_type(12).name, ggml_type("q8_0").id
    ('Q4_K', 8)
    """
    found = GGML_TYPES.get(key.upper()) if isinstance(key, str) else _BY_ID.get(key)
    if found is None:
        known = ", ".join(f"{each.name} ({each.id})" for each in _TYPES)
        raise ValueError(f"unknown ggml type {key!r}; the types are {known}")
    return found
