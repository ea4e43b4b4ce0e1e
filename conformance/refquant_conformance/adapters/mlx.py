"""MLX on a CPU: what codes of affine groups mean, FP8, and blocks of small floats.

====================  =========================================================================
``mlx``               ``dequantize`` in groups of 32 with an offset -z s, float32;
                      ``to_fp8``, ``from_fp8``; ``quantize`` with the modes mxfp4 and nvfp4
====================  =========================================================================

``quantize`` chooses its parameters itself, with an offset that is no integer: no operator of the
catalogue asks for that (tests/outsiders/test_presets_mlx.py does). Codes are put into words for it,
and blocks into ggml's order of bytes, which changes no number.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_SHEET = Sheet(
    "mlx",
    "mlx",
    "refquant_conformance.adapters.mlx_calls",
    ("mlx.core",),
    {"": ("dequantize_linear", "cast", "decode", "block_quantize", "block_dequantize")},
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
