"""PyTorch on a CPU: its quantized tensors, and the operators that exported programs have.

====================  =========================================================================
``torch``             quantized tensors: ``quantize_per_tensor``, ``torch.ops.quantized``
``torch:decomposed``  ``torch.ops.quantized_decomposed``: plain tensors, parameters beside them
``torch:fake``        ``fake_quantize``: reals in, reals out; the codes are counted from these
====================  =========================================================================

The knob ``engine`` says who computes products and some elementwise operators of quantized tensors:
x86 (FBGEMM, or oneDNN where it is faster), fbgemm, onednn, qnnpack. Not all are told apart by every
operator, and no engine computes them all.
"""

from refquant_conformance.adapters.library import Library, Sheet

__all__ = ["load"]

_PARAMETERS = ("choose_qparams", "dynamic_quantize_linear")
_QUANTIZERS = ("quantize_linear", "dequantize_linear")
_SHEET = Sheet(
    "torch",
    "torch",
    "refquant_conformance.adapters.torch_calls",
    ("torch",),
    {
        "": (
            *_QUANTIZERS,
            *_PARAMETERS,
            *("matmul_integer", "qlinear_matmul", "qlinear_conv", "qlinear_depthwise_conv"),
            *("qlinear_add", "qlinear_mul", "qlinear_average_pool", "qlinear_mean"),
            *("qlinear_softmax", "qlinear_sigmoid", "qlinear_tanh", "qlinear_leaky_relu"),
        ),
        "decomposed": (*_QUANTIZERS, *_PARAMETERS),
        "fake": ("quantize_linear",),
    },
    {"threads": (1, 2), "engine": ("x86", "fbgemm", "onednn", "qnnpack")},
    parts=tuple(
        f"refquant_conformance.adapters.torch_{part}"
        for part in ("tensors", "quantizers", "kernels")
    ),
)


def load(setting: str = "") -> Library:
    """Return the backend."""
    return Library(_SHEET, setting)
