"""Calls of PyTorch: one function for every operator.

This file needs NumPy and PyTorch only; programs that repeat a case hold it.
"""

import importlib
from typing import Any

from refquant_conformance.adapters.torch_kernels import conv, int_mm, linear, pointwise
from refquant_conformance.adapters.torch_quantizers import chosen, decomposed, dynamic, fake, held
from refquant_conformance.adapters.torch_tensors import Arrays


def configure(threads: int = 1, engine: str = "x86") -> None:
    """Set the threads, and who computes products of quantized tensors."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    if engine not in torch.backends.quantized.supported_engines:
        known = ", ".join(torch.backends.quantized.supported_engines)
        raise ValueError(f"this PyTorch has no engine {engine}; it has {known}")
    torch.backends.quantized.engine = engine


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator; PyTorch counts axes from the front only."""
    if params.get("axis") is not None:
        params = {**params, "axis": params["axis"] % inputs["x"].ndim}
    if op in ("quantize_linear", "dequantize_linear"):
        ways = {"": held, "decomposed": decomposed, "fake": fake}
        return {"y": ways[setting](op, inputs, params, types)}
    if op == "choose_qparams":
        return chosen(inputs["x"], params, observed=setting == "")
    if op == "dynamic_quantize_linear":
        return dynamic(inputs["x"], types, held=setting == "")
    if op == "matmul_integer":
        return {"y": int_mm(inputs)}
    names = importlib.import_module("torch").ops.quantized
    if op == "qlinear_matmul":
        return {"y": linear(names, inputs, params, types)}
    if op in ("qlinear_conv", "qlinear_depthwise_conv"):
        return {"y": conv(names, inputs, params, types)}
    return {"y": pointwise(names, op, inputs, params, types)}
