"""Calls of torchao.

This file needs NumPy, PyTorch and torchao only; programs that repeat a case hold it.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
RANGES = {
    **{"uint8": (0, 255), "int8": (-128, 127), "uint4": (0, 15), "int4": (-8, 7)},
    **{"uint2": (0, 3), "int2": (-2, 1), "uint16": (0, 65535), "int16": (-32768, 32767)},
}


def configure(threads: int = 1) -> None:
    """Set the threads."""
    importlib.import_module("torch").set_num_threads(threads)


def tensor(array: Any) -> Any:
    """Return a tensor of the same elements; PyTorch has no negative strides."""
    torch: Any = importlib.import_module("torch")
    return torch.from_numpy(array.copy() if min(array.strides, default=0) < 0 else array)


def primitives() -> Any:
    """Return the module of affine quantization."""
    return importlib.import_module("torchao.quantization.quant_primitives")


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    if op in ("quantize_linear", "dequantize_linear"):
        return {"y": _affine(op == "quantize_linear", inputs, params, types)}
    if op == "choose_qparams":
        scale, zero_point = _parameters(inputs["x"], params["code"], symmetric=params["symmetric"])
        return _told(scale, zero_point, np.int32)
    if op == "dynamic_quantize_linear":
        return _dynamic(inputs["x"], types["y"])
    if op == "matmul_integer":
        return {"y": _product(inputs)}
    return {"y": _cast(inputs["x"], types)}


def _affine(up: bool, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    torch: Any = importlib.import_module("torch")
    code, x = types["y" if up else "x"], inputs["x"]
    shape = _block(x.shape, inputs["scale"], params)
    if code.startswith("float8"):
        return _float8(up, inputs, code)
    if code not in RANGES:
        raise NotImplementedError(f"quantize_affine has no range for {code}")
    scale = tensor(inputs["scale"])
    zero_point = tensor(np.array(inputs.get("zero_point", np.zeros(scale.shape)), np.int32))
    kind = getattr(torch, "uint8" if code.startswith("u") else "int8")
    if code.endswith("16"):
        kind = getattr(torch, code)
    which = primitives().quantize_affine if up else primitives().dequantize_affine
    return which(tensor(x), shape, scale, zero_point, kind, *RANGES[code]).numpy()


def _block(shape: Any, scale: Any, params: Arrays) -> tuple[int, ...]:
    """Return the shape of what shares a scale."""
    if scale.ndim == 0:
        return tuple(shape)
    axis = params["axis"] % len(shape)
    size = params.get("block_size") or 0
    if size:
        return tuple(size if i == axis else 1 for i in range(len(shape)))
    return tuple(1 if i == axis else n for i, n in enumerate(shape))


def _float8(up: bool, inputs: Arrays, code: str) -> Any:
    torch: Any = importlib.import_module("torch")
    if np.any(inputs.get("zero_point", 0)) or inputs["scale"].ndim:
        raise NotImplementedError("float8 has no zero point, and here one scale a tensor")
    scale = tensor(inputs["scale"].reshape((1,) * inputs["x"].ndim))
    if up:
        made = primitives()._quantize_affine_float8(
            tensor(inputs["x"]), scale, getattr(torch, code)
        )
        return made.view(torch.uint8).numpy()
    held = tensor(inputs["x"]).view(getattr(torch, code))
    return primitives()._dequantize_affine_float8(held, scale).numpy()


def _parameters(x: Any, code: str, *, symmetric: bool) -> Any:
    torch: Any = importlib.import_module("torch")
    if code not in RANGES:
        raise NotImplementedError(f"choose_qparams_affine has no range for {code}")
    kinds = primitives().MappingType
    kind = kinds.SYMMETRIC if symmetric else kinds.ASYMMETRIC
    target = torch.int8 if code.startswith("i") else torch.uint8
    return primitives().choose_qparams_affine(tensor(x), kind, x.shape, target, *RANGES[code])


def _told(scale: Any, zero_point: Any, kind: Any) -> dict[str, Any]:
    return {
        "scale": np.asarray(scale.item(), np.float32),
        "zero_point": np.asarray(zero_point.item()).astype(kind),
    }


def _dynamic(x: Any, code: str) -> dict[str, Any]:
    """Return codes and parameters: two calls, as its dynamic activations are quantized."""
    torch: Any = importlib.import_module("torch")
    scale, zero_point = _parameters(x, code, symmetric=False)
    kind = getattr(torch, code)
    y = primitives().quantize_affine(tensor(x), x.shape, scale, zero_point, kind, *RANGES[code])
    return {"y": y.numpy(), **_told(scale, zero_point, code)}


def _product(inputs: Arrays) -> Any:
    if any(np.any(inputs.get(f"{name}_zero_point", 0)) for name in "ab"):
        raise NotImplementedError("safe_int_mm has no zero points")
    if inputs["a"].dtype != np.int8 or inputs["b"].dtype != np.int8:
        raise NotImplementedError("safe_int_mm takes int8")
    kernel: Any = importlib.import_module("torchao.kernel.intmm")
    return kernel.safe_int_mm(tensor(inputs["a"]), tensor(inputs["b"])).numpy()


# ---- small floats ----------------------------------------------------------------------------

_CASTS = {
    **{"float4_e2m1fn": "f4", "float6_e2m3fn": "f6_e2m3", "float6_e3m2fn": "f6_e3m2"},
}


def _cast(x: Any, types: Arrays) -> Any:
    kernels: Any = importlib.import_module("torchao.prototype.mx_formats.kernels")
    up = types["x"] == "float32"
    code = types["y" if up else "x"]
    if "float32" not in (types["x"], types["y"]) or code not in _CASTS:
        raise NotImplementedError("its own casts are float32 to four and six bits, and back")
    name = _CASTS[code]
    which = getattr(kernels, f"f32_to_{name}_unpacked" if up else f"{name}_unpacked_to_f32")
    return which(tensor(x).contiguous()).numpy()
