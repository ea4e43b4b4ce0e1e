"""Calls of compressed-tensors.

This file needs NumPy, PyTorch and compressed-tensors only; programs that repeat a case hold it.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
BITS = {"int2": 2, "int4": 4, "int8": 8, "int16": 16, "float8_e4m3fn": 8}


def configure(threads: int = 1) -> None:
    """Set the threads."""
    importlib.import_module("torch").set_num_threads(threads)


def tensor(array: Any) -> Any:
    """Return a tensor of the same elements; PyTorch has no negative strides."""
    torch: Any = importlib.import_module("torch")
    return torch.from_numpy(array.copy() if min(array.strides, default=0) < 0 else array)


def arguments(code: str, *, symmetric: bool, strategy: str = "tensor", group: int = 0) -> Any:
    """Return the description of a quantization."""
    if code not in BITS:
        raise NotImplementedError(f"there are no codes of {code}")
    quantization: Any = importlib.import_module("compressed_tensors.quantization")
    return quantization.QuantizationArgs(
        num_bits=BITS[code], type="float" if code.startswith("float") else "int",
        symmetric=symmetric, strategy=strategy, group_size=group or None,
    )  # fmt: skip


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    if op in ("quantize_linear", "dequantize_linear"):
        return {"y": _codes(op == "quantize_linear", inputs, params, types)}
    if op == "choose_qparams":
        return _parameters(inputs["x"], params)
    return {"y": _packed(op == "pack", inputs["x"], types, params)}


def _codes(up: bool, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    torch: Any = importlib.import_module("torch")
    forward: Any = importlib.import_module("compressed_tensors.quantization.lifecycle.forward")
    x, scale = inputs["x"], inputs["scale"]
    code, size = types["y" if up else "x"], params.get("block_size") or 0
    small = code.startswith("float")
    if size and (x.ndim != 2 or params["axis"] % 2 != 1):
        raise NotImplementedError("a group is of neighbours in a row of a matrix")
    points = np.asarray(inputs.get("zero_point", 0))
    if small and points.any():
        raise NotImplementedError("a float8 has no zero point here")
    strategy = "group" if size else "channel" if scale.ndim else "tensor"
    args = arguments(code, symmetric=not points.any(), strategy=strategy, group=size)
    held = np.int16 if code == "int16" else np.int8
    wide = np.broadcast_to(points, scale.shape).astype(held)
    if scale.ndim == 1:
        if params["axis"] % x.ndim:
            raise NotImplementedError("a channel is a row")
        shape = (-1, *(1 for _ in x.shape[1:]))
        scale, wide = scale.reshape(shape), wide.reshape(shape)
    elif scale.ndim == 0:
        scale, wide = scale.reshape(1), wide.reshape(1)
    pair = (tensor(scale), tensor(wide))
    if up:
        kind = torch.float8_e4m3fn if small else getattr(torch, np.dtype(held).name)
        made = forward.quantize(tensor(x), *pair, args, dtype=kind)
        return (made.view(torch.uint8) if small else made).numpy()
    codes = tensor(x).view(torch.float8_e4m3fn) if small else tensor(x)
    return forward.dequantize(codes, *pair, args, dtype=torch.float32).numpy()


def _parameters(x: Any, params: Arrays) -> dict[str, Any]:
    utils: Any = importlib.import_module("compressed_tensors.quantization.utils")
    args = arguments(params["code"], symmetric=params["symmetric"])
    if not x.size:
        raise ValueError("an empty tensor has no range")
    low, high = tensor(x).min(), tensor(x).max()
    scale, zero_point = utils.calculate_qparams(low, high, args)
    return {
        "scale": np.asarray(scale.item(), np.float32),
        "zero_point": np.asarray(zero_point.item()).astype(np.int32),
    }


def _packed(up: bool, x: Any, types: Arrays, params: Arrays) -> Any:
    """Return the bytes of the words of rows of codes, or back; codes are signed."""
    torch: Any = importlib.import_module("torch")
    code = types["x" if up else "y"]
    if code not in BITS or code == "float8_e4m3fn":
        raise NotImplementedError(f"it packs signed codes, not {code}")
    helpers: Any = importlib.import_module("compressed_tensors.compressors.pack_quantized.helpers")
    bits, count = int(params["num_bits"]), int(params["count"])
    rows = np.ascontiguousarray(x).reshape(-1, x.shape[-1])
    if up:
        words = helpers.pack_to_int32(tensor(rows.astype(np.int8)), bits).numpy()
        data = words.view(np.uint8)
        return data.reshape((*x.shape[:-1], data.shape[-1]))
    if rows.shape[1] != 4 * -(-count // (32 // bits)):
        raise ValueError(f"{count} codes are in whole words of 32 bits, not {rows.shape[1]} bytes")
    whole = rows.view(np.int32)
    made = helpers.unpack_from_int32(
        tensor(whole), bits, torch.Size((rows.shape[0], count))
    ).numpy()
    return made.reshape((*x.shape[:-1], count))
