"""Calls of QONNX. This file needs NumPy and qonnx only; programs that repeat a case hold it."""

import importlib
from collections.abc import Mapping
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    code, x, scale = types["y"], inputs["x"], inputs["scale"]
    kind = code.rstrip("0123456789")
    if kind not in ("int", "uint") or params.get("block_size"):
        raise NotImplementedError("int_quant gives integers, and has no blocks")
    if x.dtype != np.float32:
        raise NotImplementedError("QONNX is about float32")
    points = np.asarray(inputs.get("zero_point", 0)).astype(np.float32)
    if scale.ndim:
        along = tuple(-1 if i == params["axis"] % x.ndim else 1 for i in range(x.ndim))
        scale = scale.reshape(along)
        points = np.broadcast_to(points, inputs["scale"].shape).reshape(along)
    quant: Any = importlib.import_module("qonnx.custom_op.general.intquant")
    mode = (setting or "round").upper()
    width = np.float32(code.removeprefix(kind))
    real = quant.int_quant(x, scale, points, width, kind == "int", False, mode)
    if np.isnan(real).any():
        raise ValueError("the real is NaN, and no code")
    steps = np.asarray(real, np.float64) / scale.astype(np.float64) + points
    return {"y": np.rint(steps).astype(f"{kind}{max(8, int(width))}")}
