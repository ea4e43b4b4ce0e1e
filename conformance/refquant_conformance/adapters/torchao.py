"""torchao on a CPU: affine codes and parameters, casts to small floats.

====================  =========================================================================
``torchao``           ``quantize_affine``, ``dequantize_affine``, ``choose_qparams_affine``;
                      ``safe_int_mm``; the casts of ``mx_formats``
====================  =========================================================================

Granularity is the shape of a block, as in this project. Left out: blocks of small floats, which are
asked in tests/outsiders/test_block_floats.py.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_OPS = (
    *("quantize_linear", "dequantize_linear", "choose_qparams", "dynamic_quantize_linear"),
    *("matmul_integer", "cast", "decode"),
)
_SHEET = Sheet(
    "torchao",
    "torchao",
    "refquant_conformance.adapters.torchao_calls",
    ("torch", "torchao"),
    {"": _OPS},
    {"threads": (1, 2)},
    ("torch",),
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
