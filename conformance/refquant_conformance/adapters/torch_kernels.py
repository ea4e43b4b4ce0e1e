"""Calls of PyTorch: products, and functions of quantized tensors.

This file needs NumPy and PyTorch only; programs that repeat a case hold it.
"""

from typing import Any

import numpy as np

from refquant_conformance.adapters.torch_tensors import (
    Arrays,
    engine,
    quantized,
    tensor,
)


def int_mm(inputs: Arrays) -> Any:
    """Return int32 sums of products of int8."""
    if any(np.any(inputs.get(f"{name}_zero_point", 0)) for name in "ab"):
        raise NotImplementedError("_int_mm has no zero points")
    return engine()._int_mm(tensor(inputs["a"]), tensor(inputs["b"])).numpy()


def _real_bias(inputs: Arrays, x: str, w: str) -> Any:
    """Return the bias as PyTorch wants it, a float32: int32 times the float32 product of scales."""
    if "bias" not in inputs:
        return None
    step = inputs[f"{x}_scale"] * inputs[f"{w}_scale"]
    return tensor((inputs["bias"].astype(np.float32) * step).astype(np.float32))


def _relu(inputs: Arrays, params: Arrays) -> bool:
    """Return whether clamps are those of a ReLU; NotImplementedError if they are others."""
    low, high = params.get("clamp_min"), params.get("clamp_max")
    if high is not None or low not in (None, int(inputs["y_zero_point"])):
        raise NotImplementedError("the only clamp of a product is a ReLU")
    return low is not None


def linear(names: Any, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    """Return the codes of a product; its weights have outputs first."""
    flipped = {**inputs, "b": np.ascontiguousarray(inputs["b"].T)}
    weights = quantized(flipped, "b", types["b"], 0)
    packed = names.linear_prepack(weights, _real_bias(inputs, "a", "b"))
    which = names.linear_relu if _relu(inputs, params) else names.linear
    a = quantized(inputs, "a", types["a"])
    made = which(a, packed, float(inputs["y_scale"]), int(inputs["y_zero_point"]))
    return made.int_repr().numpy()


def conv(names: Any, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    """Return the codes of a convolution."""
    top, left, bottom, right = params["pads"]
    if (top, left) != (bottom, right):
        raise NotImplementedError("padding is the same on both sides")
    weights = quantized(inputs, "w", types["w"], 0)
    shape = (params["strides"], (top, left), params["dilations"], params["group"])
    packed = names.conv2d_prepack(weights, _real_bias(inputs, "x", "w"), *shape)
    which = names.conv2d_relu if _relu(inputs, params) else names.conv2d
    x = quantized(inputs, "x", types["x"])
    made = which.new(x, packed, float(inputs["y_scale"]), int(inputs["y_zero_point"]))
    return np.ascontiguousarray(made.int_repr().numpy())


def pointwise(names: Any, op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    """Return the codes of a sum, a product, a function or a mean."""
    torch = engine()
    y = (float(inputs["y_scale"]), int(inputs["y_zero_point"]))
    if op in ("qlinear_add", "qlinear_mul"):
        which = names.add if op == "qlinear_add" else names.mul
        made = which(*(quantized(inputs, name, types[name]) for name in "ab"), *y)
        return made.int_repr().numpy()
    x = quantized(inputs, "x", types["x"])
    if op == "qlinear_sigmoid":
        made = names.sigmoid(x, *y)
    elif op == "qlinear_softmax":
        made = names.softmax(x, x.ndim - 1, *y)
    elif op == "qlinear_leaky_relu":
        made = names.leaky_relu(x, params["alpha"], False, *y)
    elif op == "qlinear_tanh":
        made = torch.tanh(x)
    elif op == "qlinear_mean":
        made = torch.mean(x, (2, 3), keepdim=True)
    else:
        made = _pooled(torch, x, params)
    if (made.q_scale(), made.q_zero_point()) != y:
        given = f"{made.q_scale()} and {made.q_zero_point()}"
        raise NotImplementedError(f"the output has scale and zero point {given}, and no others")
    return made.int_repr().numpy()


def _pooled(torch: Any, x: Any, params: Arrays) -> Any:
    top, left, bottom, right = params["pads"]
    if (top, left) != (bottom, right):
        raise NotImplementedError("padding is the same on both sides")
    return torch.nn.functional.avg_pool2d(
        x, params["kernel"], params["strides"], (top, left), False,
        bool(params.get("count_include_pad", 0)),
    )  # fmt: skip
