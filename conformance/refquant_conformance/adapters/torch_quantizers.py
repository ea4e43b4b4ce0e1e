"""Calls of PyTorch: quantizers, and the parameters they need.

This file needs NumPy and PyTorch only; programs that repeat a case hold it.
"""

import importlib
from typing import Any

import numpy as np

from refquant_conformance.adapters.torch_tensors import (
    RANGES,
    Arrays,
    engine,
    held_in,
    kind_of,
    quantized,
    tensor,
)


def held(op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    """Return codes by a quantized tensor, or the reals that one holds."""
    torch = engine()
    if op == "dequantize_linear":
        return quantized(inputs, "x", types["x"], params.get("axis")).dequantize().numpy()
    if params.get("block_size"):
        raise NotImplementedError("a quantized tensor has no blocks")
    scale, zero_point = inputs["scale"], inputs.get("zero_point", np.int64(0))
    kind, x = kind_of(types["y"]), tensor(inputs["x"])
    if inputs["x"].dtype != np.float32:
        raise NotImplementedError("quantize_per_tensor takes float32")
    if scale.ndim == 0:
        held = torch.quantize_per_tensor(x, float(scale), int(zero_point), kind)
    else:
        points = np.broadcast_to(zero_point, scale.shape).astype(np.int64)
        held = torch.quantize_per_channel(x, tensor(scale), tensor(points), params["axis"], kind)
    return held.int_repr().numpy()


def decomposed(op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    """Return codes, or reals, by the operators of exported programs."""
    torch = engine()
    importlib.import_module("torch.ao.quantization.fx._decomposed")
    names = torch.ops.quantized_decomposed
    up = op == "quantize_linear"
    code, scale = types["y" if up else "x"], inputs["scale"]
    if code not in RANGES:
        raise NotImplementedError(f"the operators have no range for {code}")
    zero_point = inputs.get("zero_point", np.int64(0))
    x = tensor(inputs["x"])
    held = (*RANGES[code], getattr(torch, held_in(code)))
    if scale.ndim == 0:
        which = names.quantize_per_tensor if up else names.dequantize_per_tensor
        return which(x, float(scale), int(zero_point), *held).numpy()
    points = tensor(np.broadcast_to(zero_point, scale.shape).astype(np.int64))
    if size := params.get("block_size"):
        if params["axis"] != 1 or inputs["x"].ndim != 2:
            raise NotImplementedError("groups are of the last axis of a matrix")
        if up:
            return names.quantize_per_channel_group(x, tensor(scale), points, *held, size).numpy()
        made = names.dequantize_per_channel_group(
            x, tensor(scale), points, *held, size, torch.float32
        )
        return made.numpy()
    which = names.quantize_per_channel if up else names.dequantize_per_channel
    return which(x, tensor(scale), points, params["axis"], *held).numpy()


def fake(op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    """Return y / s + z for the real y that fake_quantize gives: it is s (q - z)."""
    torch = engine()
    code, scale = types["y"], inputs["scale"]
    if code not in RANGES or params.get("block_size"):
        raise NotImplementedError("fake_quantize has no blocks, and ranges of integers")
    limits, x = RANGES[code], tensor(inputs["x"])
    zero_point = np.asarray(inputs.get("zero_point", 0), np.int32)
    if scale.ndim == 0:
        real = torch.fake_quantize_per_tensor_affine(x, float(scale), int(zero_point), *limits)
        steps = real.numpy() / np.float64(scale) + zero_point
    else:
        axis = params["axis"]
        points = np.broadcast_to(zero_point, scale.shape).copy()
        real = torch.fake_quantize_per_channel_affine(
            x, tensor(scale), tensor(points), axis, *limits
        )
        along = tuple(-1 if i == axis % x.ndim else 1 for i in range(x.ndim))
        steps = real.numpy() / scale.reshape(along).astype(np.float64) + points.reshape(along)
    if not np.isfinite(steps).all():
        raise RuntimeError("a real that is no code")
    return np.rint(steps).astype(held_in(code))


def chosen(x: Any, params: Arrays, *, observed: bool) -> dict[str, Any]:
    """Return scale and zero point by an observer, or by the operator of exported programs."""
    torch = engine()
    code, symmetric = params["code"], params["symmetric"]
    if code not in RANGES:
        raise NotImplementedError(f"no observer of {code}")
    limits = RANGES[code]
    if not observed:
        importlib.import_module("torch.ao.quantization.fx._decomposed")
        names = torch.ops.quantized_decomposed
        which = names.choose_qparams_symmetric if symmetric else names.choose_qparams
        kind = torch.int8 if code.startswith("i") else torch.uint8
        eps = torch.finfo(torch.float32).eps
        scale, zero_point = which.tensor(tensor(x), *limits, eps, kind)
    else:
        observers = importlib.import_module("torch.ao.quantization.observer")
        kind = torch.qint8 if code.startswith("i") else torch.quint8
        scheme = torch.per_tensor_symmetric if symmetric else torch.per_tensor_affine
        observer = observers.MinMaxObserver(
            dtype=kind, qscheme=scheme, quant_min=limits[0], quant_max=limits[1]
        )
        observer(tensor(x))
        scale, zero_point = observer.calculate_qparams()
    return {
        "scale": np.asarray(scale.item(), np.float32),
        "zero_point": np.asarray(zero_point.item(), np.int32),
    }


def dynamic(x: Any, types: Arrays, *, held: bool) -> dict[str, Any]:
    """Return codes and parameters by quantize_per_tensor_dynamic, or by two operators."""
    torch = engine()
    code = types["y"]
    if held:
        made = torch.quantize_per_tensor_dynamic(tensor(x), kind_of(code), False)
        y, scale, zero_point = made.int_repr().numpy(), made.q_scale(), made.q_zero_point()
    else:
        importlib.import_module("torch.ao.quantization.fx._decomposed")
        names = torch.ops.quantized_decomposed
        limits, kind = RANGES[code], getattr(torch, code)
        eps = torch.finfo(torch.float32).eps
        pair = names.choose_qparams.tensor(tensor(x), *limits, eps, kind)
        y = names.quantize_per_tensor.tensor(tensor(x), *pair, *limits, kind).numpy()
        scale, zero_point = pair[0].item(), pair[1].item()
    return {
        "y": y,
        "scale": np.asarray(scale, np.float32),
        "zero_point": np.asarray(zero_point, types["zero_point"]),
    }
