"""Calls of PyTorch. This file needs NumPy and PyTorch only; programs that repeat a case hold it."""

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


def configure(threads: int = 1, engine: str = "x86") -> None:
    """Set the threads, and who computes products of quantized tensors."""
    torch: Any = importlib.import_module("torch")
    torch.set_num_threads(threads)
    if engine not in torch.backends.quantized.supported_engines:
        known = ", ".join(torch.backends.quantized.supported_engines)
        raise ValueError(f"this PyTorch has no engine {engine}; it has {known}")
    torch.backends.quantized.engine = engine


def tensor(array: Any) -> Any:
    """Return a tensor of the same elements; PyTorch has no negative strides."""
    return engine().from_numpy(array.copy() if min(array.strides, default=0) < 0 else array)


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator; PyTorch counts axes from the front only."""
    if params.get("axis") is not None:
        params = {**params, "axis": params["axis"] % inputs["x"].ndim}
    if op in ("quantize_linear", "dequantize_linear"):
        ways = {"": _held, "decomposed": _decomposed, "fake": _fake}
        return {"y": ways[setting](op, inputs, params, types)}
    if op == "choose_qparams":
        return _chosen(inputs["x"], params, observed=setting == "")
    if op == "dynamic_quantize_linear":
        return _dynamic(inputs["x"], types, held=setting == "")
    if op == "matmul_integer":
        return {"y": _int_mm(inputs)}
    names = importlib.import_module("torch").ops.quantized
    if op == "qlinear_matmul":
        return {"y": _linear(names, inputs, params, types)}
    if op in ("qlinear_conv", "qlinear_depthwise_conv"):
        return {"y": _conv(names, inputs, params, types)}
    return {"y": _pointwise(names, op, inputs, params, types)}


# ---- quantizers ------------------------------------------------------------------------------


def _held(op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
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


def kind_of(code: str) -> Any:
    """Return the type of quantized tensors with these codes."""
    torch = engine()
    kinds = {"uint8": torch.quint8, "int8": torch.qint8, "int32": torch.qint32}
    if code not in kinds:
        raise NotImplementedError(f"PyTorch has no quantized tensors of {code}")
    return kinds[code]


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


def _decomposed(op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
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


def held_in(code: str) -> str:
    """Return the name of the dtype that holds a code: those below a byte have one each."""
    kind = code.rstrip("0123456789")
    return f"{kind}{max(8, int(code.removeprefix(kind)))}"


def _fake(op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
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


# ---- parameters ------------------------------------------------------------------------------


def _chosen(x: Any, params: Arrays, *, observed: bool) -> dict[str, Any]:
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


def _dynamic(x: Any, types: Arrays, *, held: bool) -> dict[str, Any]:
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


# ---- products --------------------------------------------------------------------------------


def _int_mm(inputs: Arrays) -> Any:
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


def _linear(names: Any, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    flipped = {**inputs, "b": np.ascontiguousarray(inputs["b"].T)}
    weights = quantized(flipped, "b", types["b"], 0)
    packed = names.linear_prepack(weights, _real_bias(inputs, "a", "b"))
    which = names.linear_relu if _relu(inputs, params) else names.linear
    a = quantized(inputs, "a", types["a"])
    made = which(a, packed, float(inputs["y_scale"]), int(inputs["y_zero_point"]))
    return made.int_repr().numpy()


def _conv(names: Any, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
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


# ---- the rest --------------------------------------------------------------------------------


def _pointwise(names: Any, op: str, inputs: Arrays, params: Arrays, types: Arrays) -> Any:
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
