"""torchao on a CPU: affine codes and parameters, casts to small floats, MXFP4.

====================  =========================================================================
``torchao``           ``quantize_affine``, ``dequantize_affine``, ``choose_qparams_affine``;
                      ``safe_int_mm``; the casts and blocks of ``mx_formats``
====================  =========================================================================

Granularity is the shape of a block, as in this project. Blocks of MXFP4 come as scales and codes;
here they are put in ggml's order of bytes, which changes no number.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_OPS = (
    *("quantize_linear", "dequantize_linear", "choose_qparams", "dynamic_quantize_linear"),
    *("matmul_integer", "cast", "decode", "block_quantize", "block_dequantize"),
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
