"""Calls of MLX. This file needs NumPy and mlx only; programs that repeat a case hold it."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
BITS = {"uint2": 2, "uint4": 4, "uint8": 8}
GROUP = 32


def core() -> Any:
    """Return the module, set to the CPU."""
    mx: Any = importlib.import_module("mlx.core")
    mx.set_default_device(mx.cpu)
    return mx


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    if op == "dequantize_linear":
        return {"y": _real(inputs, params, types["x"])}
    return {"y": _fp8(op == "cast", inputs["x"], types)}


def _real(inputs: Arrays, params: Arrays, code: str) -> Any:
    """Return reals of codes; each run of codes with one scale is filled up to whole groups."""
    if code not in BITS:
        raise NotImplementedError(f"its codes are unsigned, of 2, 4 or 8 bits; not {code}")
    x, scale = inputs["x"], inputs["scale"]
    size = params.get("block_size") or x.shape[-1] if x.ndim else 1
    axis = (params["axis"] or 0) % max(x.ndim, 1)
    if scale.ndim and x.ndim > 1 and axis != (x.ndim - 1 if params.get("block_size") else 0):
        raise NotImplementedError("a group is of neighbours")
    runs = np.ascontiguousarray(x).reshape(-1, size)
    each = np.repeat(scale.reshape(-1), len(runs) // max(scale.size, 1)) if scale.ndim else scale
    points = np.asarray(inputs.get("zero_point", 0)).astype(np.float32)
    if scale.ndim:
        points = np.repeat(points.reshape(-1), len(runs) // max(scale.size, 1))
    wide = [np.broadcast_to(v, len(runs)).astype(np.float32) for v in (each, points)]
    full = np.pad(runs, ((0, 0), (0, -size % GROUP)))
    mx = core()
    scales = [np.repeat(v[:, None], full.shape[1] // GROUP, axis=1) for v in wide]
    offset = -(scales[0] * scales[1])
    words = _words(full, BITS[code])
    made = mx.dequantize(
        *(mx.array(v) for v in (words, scales[0], offset)), group_size=GROUP, bits=BITS[code]
    )
    return np.array(made)[:, :size].reshape(x.shape).copy()


def _words(codes: Any, bits: int) -> Any:
    """Return rows of codes as rows of uint32, the first code in the lowest bits."""
    each = 32 // bits
    parts = codes.astype(np.uint32).reshape(len(codes), -1, each)
    shifts = np.arange(0, 32, bits, dtype=np.uint32)
    return np.bitwise_or.reduce(parts << shifts, axis=-1).astype(np.uint32)


def _fp8(up: bool, x: Any, types: Arrays) -> Any:
    if {types["x"], types["y"]} != {"float32", "float8_e4m3fn"}:
        raise NotImplementedError("its only cast of one number is float32 to e4m3fn, and back")
    x, mx = np.array(x, order="C"), core()
    made = mx.to_fp8(mx.array(x)) if up else mx.from_fp8(mx.array(x), dtype=mx.float32)
    return np.array(made)
