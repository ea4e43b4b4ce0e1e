"""ncnn on a CPU: each operator as a network of one layer, or of a product and a Quantize layer.

====================  =========================================================================
``ncnn``              Quantize, Dequantize; Convolution, ConvolutionDepthWise, InnerProduct, int8
====================  =========================================================================

Codes are int8 and symmetric: no layer has a zero point. Its scales multiply reals, so each goes in
as the float32 1 / s; a bias goes in as the real that it means. A convolution has its own output
scale; an InnerProduct gives reals, so a Quantize layer stands behind it.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_OPS = (
    *("quantize_linear", "dequantize_linear"),
    *("qlinear_matmul", "qlinear_conv", "qlinear_depthwise_conv"),
)
_SHEET = Sheet(
    "ncnn",
    "ncnn",
    "refquant_conformance.adapters.ncnn_calls",
    ("ncnn",),
    {"": _OPS},
    {"threads": (1, 2), "packing": (1, 0)},
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
