"""bitsandbytes on a CPU: the integer product of LLM.int8(), and its two 4-bit codebooks.

====================  =========================================================================
``bitsandbytes``      ``int8_linear_matmul``, ``quantize_4bit``
====================  =========================================================================

Its other functions choose the scale of a row or a block themselves: they are asked in
tests/outsiders/test_bitsandbytes.py, byte by byte.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_SHEET = Sheet(
    "bitsandbytes",
    "bitsandbytes",
    "refquant_conformance.adapters.bitsandbytes_calls",
    ("torch", "bitsandbytes"),
    {"": ("matmul_integer", "codebook_quantize")},
    {"threads": (1, 2)},
    ("torch",),
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
