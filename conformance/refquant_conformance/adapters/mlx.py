"""MLX on a CPU: what codes of affine groups mean, and FP8.

====================  =========================================================================
``mlx``               ``dequantize`` in groups of 32 with an offset -z s, float32;
                      ``to_fp8``, ``from_fp8``
====================  =========================================================================

``quantize`` chooses its parameters itself, with an offset that is no integer: no operator of the
catalogue asks for that (tests/outsiders/test_presets_mlx.py does).
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_SHEET = Sheet(
    "mlx",
    "mlx",
    "refquant_conformance.adapters.mlx_calls",
    ("mlx.core",),
    {"": ("dequantize_linear", "cast", "decode")},
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
