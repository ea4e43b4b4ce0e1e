"""QONNX: ``int_quant``, the function behind its Quant node, in NumPy.

====================  =========================================================================
``qonnx``             rounding mode ROUND
``qonnx:half_up``     one of its other modes: ceil, floor, up, down, half_up, half_down
====================  =========================================================================

It gives reals; the codes are counted from these: a real is ``s (q - z)``, rounded once.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_MODES = ("", "ceil", "floor", "up", "down", "half_up", "half_down")
_SHEET = Sheet(
    "qonnx",
    "qonnx",
    "refquant_conformance.adapters.qonnx_calls",
    ("qonnx",),
    dict.fromkeys(_MODES, ("quantize_linear",)),
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
