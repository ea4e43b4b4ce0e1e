"""Calls of PyTorch: tensors, and quantized tensors, of arrays.

This file needs NumPy and PyTorch only; programs that repeat a case hold it.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
RANGES = {
    **{"uint8": (0, 255), "int8": (-128, 127), "uint4": (0, 15), "int4": (-8, 7)},
    **{"uint2": (0, 3), "int2": (-2, 1), "uint16": (0, 65535), "int16": (-32768, 32767)},
    "int32": (-(2**31), 2**31 - 1),
}


def engine() -> Any:
    """Return the module torch."""
    return importlib.import_module("torch")


def tensor(array: Any) -> Any:
    """Return a tensor of the same elements; PyTorch has no negative strides."""
    return engine().from_numpy(array.copy() if min(array.strides, default=0) < 0 else array)


def kind_of(code: str) -> Any:
    """Return the type of quantized tensors with these codes."""
    torch = engine()
    kinds = {"uint8": torch.quint8, "int8": torch.qint8, "int32": torch.qint32}
    if code not in kinds:
        raise NotImplementedError(f"PyTorch has no quantized tensors of {code}")
    return kinds[code]


def held_in(code: str) -> str:
    """Return the name of the dtype that holds a code: those below a byte have one each."""
    kind = code.rstrip("0123456789")
    return f"{kind}{max(8, int(code.removeprefix(kind)))}"


def quantized(inputs: Arrays, name: str, code: str, axis: Any = None) -> Any:
    """Return the quantized tensor of an operand: codes, scale, zero point."""
    torch = engine()
    kind_of(code)
    prefix = "" if f"{name}_scale" not in inputs else f"{name}_"
    scale = inputs[f"{prefix}scale"]
    zero_point = inputs.get(f"{prefix}zero_point", np.int64(0))
    codes = tensor(inputs[name])
    if scale.ndim == 0:
        return torch._make_per_tensor_quantized_tensor(codes, float(scale), int(zero_point))
    if scale.ndim > 1 or axis is None:
        raise NotImplementedError("a quantized tensor has no blocks")
    points = np.broadcast_to(zero_point, scale.shape).astype(np.int64)
    wide = tensor(scale.astype(np.float64))
    return torch._make_per_channel_quantized_tensor(codes, wide, tensor(points), axis)
