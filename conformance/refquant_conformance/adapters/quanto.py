"""optimum-quanto on a CPU: its two quantizers and its optimizers of parameters.

====================  =========================================================================
``quanto``            ``quanto::quantize_symmetric`` where the zero point is 0 and codes are
                      signed; ``quanto::quantize_affine`` with integer shifts where they are not
====================  =========================================================================

Left out: float shifts, which are no zero points of this operator.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_SHEET = Sheet(
    "quanto",
    "optimum-quanto",
    "refquant_conformance.adapters.quanto_calls",
    ("torch", "optimum.quanto"),
    {"": ("quantize_linear", "dequantize_linear", "choose_qparams")},
    {"threads": (1, 2)},
    ("torch",),
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
