"""Calls of optimum-quanto.

This file needs NumPy, PyTorch and optimum-quanto only; programs that repeat a case hold it.
"""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
BITS = {"uint2": 2, "uint4": 4, "uint8": 8}


def configure(threads: int = 1) -> None:
    """Set the threads."""
    importlib.import_module("torch").set_num_threads(threads)


def tensor(array: Any) -> Any:
    """Return a tensor of the same elements; PyTorch has no negative strides."""
    torch: Any = importlib.import_module("torch")
    return torch.from_numpy(array.copy() if min(array.strides, default=0) < 0 else array)


def quanto() -> Any:
    """Return the module."""
    return importlib.import_module("optimum.quanto")


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    if op == "choose_qparams":
        return _parameters(inputs["x"], params)
    code = types["y" if op == "quantize_linear" else "x"]
    signed = not code.startswith("u")
    if signed and np.any(inputs.get("zero_point", 0)):
        raise NotImplementedError("signed codes have no zero point")
    if params.get("block_size"):
        raise NotImplementedError("groups are of the first axis of turned matrices")
    scale, x = inputs["scale"], inputs["x"]
    axis = None if scale.ndim == 0 else params["axis"] % x.ndim
    if axis not in (None, 0):
        raise NotImplementedError("a channel is a row")
    wide = tensor(scale if axis is None else scale.reshape(-1, *(1 for _ in x.shape[1:])))
    if op == "dequantize_linear":
        return {"y": _real(x, wide, inputs, types["x"])}
    if signed:
        return {"y": _symmetric(x, axis, wide, code)}
    return {"y": _affine(x, wide, inputs, code)}


def _symmetric(x: Any, axis: int | None, scale: Any, code: str) -> Any:
    torch: Any = importlib.import_module("torch")
    quanto()
    if code not in ("int8", "float8_e4m3fn", "float8_e5m2"):
        raise NotImplementedError(f"there is no qtype of {code}")
    made = torch.ops.quanto.quantize_symmetric(tensor(x), getattr(torch, code), axis, scale)
    return (made if code == "int8" else made.view(torch.uint8)).numpy()


def _shift(inputs: Arrays, scale: Any) -> Any:
    points = np.asarray(inputs.get("zero_point", np.uint8(0)))
    return tensor(np.broadcast_to(points, inputs["scale"].shape).copy()).reshape(scale.shape)


def _affine(x: Any, scale: Any, inputs: Arrays, code: str) -> Any:
    torch: Any = importlib.import_module("torch")
    quanto()
    if code not in BITS:
        raise NotImplementedError(f"there is no qtype of {code}")
    shift = _shift(inputs, scale)
    return torch.ops.quanto.quantize_affine(tensor(x), BITS[code], 0, None, scale, shift).numpy()


def _real(x: Any, scale: Any, inputs: Arrays, code: str) -> Any:
    if code == "int8":
        held = quanto().tensor.ActivationQBytesTensor(
            quanto().qint8, x.shape, tensor(x).stride(), tensor(x), scale
        )
        return held.dequantize().numpy()
    if code not in ("uint2", "uint4"):
        raise NotImplementedError(f"there is no qtype of {code}")
    held = quanto().tensor.WeightQBitsTensor(
        getattr(quanto(), f"qint{BITS[code]}"), 0, None, x.shape, tensor(x).stride(), tensor(x),
        scale, _shift(inputs, scale),
    )  # fmt: skip
    return held.dequantize().numpy()


def _parameters(x: Any, params: Arrays) -> dict[str, Any]:
    torch: Any = importlib.import_module("torch")
    rows = tensor(np.stack([x, x]))  # a tensor of one row is no matrix to it
    if params["symmetric"]:
        if params["code"] not in ("int8", "int4"):
            raise NotImplementedError("symmetric codes are signed")
        kind = getattr(quanto(), f"q{params['code']}")
        scale, shift = quanto().AbsmaxOptimizer()(rows, kind, 0), torch.zeros(1)
    else:
        if params["code"] not in BITS:
            raise NotImplementedError("asymmetric codes are unsigned")
        kind = getattr(quanto(), f"qint{BITS[params['code']]}")
        scale, shift = quanto().MaxOptimizer()(rows, kind, 0, zeropoint=True)
    return {
        "scale": np.asarray(scale.reshape(-1)[0].item(), np.float32),
        "zero_point": np.asarray(shift.reshape(-1)[0].item()).astype(np.int32),
    }
