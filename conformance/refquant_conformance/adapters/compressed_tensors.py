"""compressed-tensors on a CPU: codes, reals, parameters, and its packed words.

======================  =======================================================================
``compressed_tensors``  ``lifecycle.forward``, ``calculate_qparams``, ``pack_to_int32``
======================  =======================================================================

Codes are signed integers or float8; zero points are what its ``zp_dtype`` holds.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_OPS = ("quantize_linear", "dequantize_linear", "choose_qparams", "pack", "unpack")
_SHEET = Sheet(
    "compressed_tensors",
    "compressed-tensors",
    "refquant_conformance.adapters.compressed_tensors_calls",
    ("torch", "compressed_tensors"),
    {"": _OPS},
    {"threads": (1, 2)},
    ("torch",),
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
