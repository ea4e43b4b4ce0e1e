"""gfloat: small floats by their description, in NumPy, with the rounding modes of IEEE 754.

====================  =========================================================================
``gfloat``            ``round_ndarray`` then ``encode_ndarray``, ties to even; ``decode_ndarray``;
                      MXFP4 blocks by ``compute_scale_amax``, ``encode_block``, ``decode_block``
``gfloat:away``       ties away from zero
``gfloat:zero``       toward zero
====================  =========================================================================

Of its formats those of OCP, bfloat16 and float16 are in the catalogue; P3109 is not. It rounds
without saturation, its default, unless a case asks for it or a format has no other way. Its blocks
are lists of a scale and codes; bytes are in ggml's order here. Left out: stochastic rounding, which
takes its random bits as an argument; rounding up and down, whose overflow depends on the sign.
"""

from refquant_conformance.adapters.gfloat_calls import MODES
from refquant_conformance.adapters.library import Library, Sheet
from refquant_conformance.protocol import Case, Result, Unsupported

__all__ = ["load"]

_FLOATS = ("cast", "decode")
_BLOCKS = ("block_quantize", "block_dequantize")
_SHEET = Sheet(
    "gfloat",
    "gfloat",
    "refquant_conformance.adapters.gfloat_calls",
    ("gfloat",),
    {mode: ("cast",) if mode else (*_FLOATS, *_BLOCKS) for mode in MODES},
)


class _Gfloat(Library):
    """The package; its one block format that is an operator of the catalogue is MXFP4."""

    def run(self, case: Case) -> Result:
        """Call the library."""
        if case.op in _BLOCKS and case.scheme != "mxfp4":
            raise Unsupported(f"gfloat has no {case.scheme}")
        return super().run(case)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return _Gfloat(_SHEET, setting)
