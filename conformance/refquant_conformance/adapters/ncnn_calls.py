"""Calls of ncnn. This file needs NumPy and ncnn only; programs that repeat a case hold it."""

import importlib
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

Arrays = Mapping[str, Any]
INT8 = b"\x38\x4b\x0d\x00"  # the tag of int8 weights in a model file
OPTIONS = {"threads": 1, "packing": 1}


def configure(threads: int = 1, packing: int = 1) -> None:
    """Set the threads, and whether channels are kept in packs of the width of a vector."""
    OPTIONS.update(threads=threads, packing=packing)


def compute(op: str, inputs: Arrays, params: Arrays, types: Arrays, setting: str) -> dict[str, Any]:
    """Return the outputs of one operator."""
    points = [np.any(a) for name, a in inputs.items() if name.endswith("zero_point")]
    if any(points):
        raise NotImplementedError("no layer has a zero point")
    if op == "quantize_linear":
        return {"y": _quantize(inputs, params, types)}
    if op == "dequantize_linear":
        return {"y": _dequantize(inputs, types)}
    wrong = [t for name, t in types.items() if name in "abxwy" and t != "int8"]
    if wrong:
        raise NotImplementedError(f"its codes are int8, not {wrong[0]}")
    if op == "qlinear_matmul":
        return {"y": _product(inputs, params)}
    return {"y": _conv(op, inputs, params)}


def factor(scale: Any) -> bytes:
    """Return what multiplies a real: 1 / s, in float32."""
    return (np.float32(1) / np.asarray(scale, np.float32)).astype("<f4").tobytes()


def asked(layers: Sequence[str], weights: bytes, blobs: int, arrays: Sequence[Any]) -> list[Any]:
    """Return what a network of these layers gives for each of some arrays."""
    ncnn: Any = importlib.import_module("ncnn")
    lines = ["7767517", f"{len(layers) + 1} {blobs}", "Input in 0 1 in", *layers, ""]
    with tempfile.TemporaryDirectory() as folder:
        param, model = Path(folder, "n.param"), Path(folder, "n.bin")
        param.write_text("\n".join(lines))
        model.write_bytes(weights)
        net = ncnn.Net()
        net.opt.use_vulkan_compute = False
        net.opt.num_threads = OPTIONS["threads"]
        net.opt.use_packing_layout = bool(OPTIONS["packing"])
        if net.load_param(str(param)) or net.load_model(str(model)):
            raise RuntimeError("ncnn refuses the network")
    found = []
    for array in arrays:
        held = np.ascontiguousarray(array)  # ncnn reads it where it is
        extractor = net.create_extractor()
        extractor.input("in", ncnn.Mat(held).clone())
        code, out = extractor.extract("out")
        if code:
            raise RuntimeError(f"extract returned {code}")
        found.append(np.array(out))
    return found


def _quantize(inputs: Arrays, params: Arrays, types: Arrays) -> Any:
    x, scale = inputs["x"], inputs["scale"]
    fine = scale.ndim == 1 and x.ndim == 2 and params["axis"] in (0, -2)
    if types["y"] != "int8" or not (scale.ndim == 0 or fine) or x.dtype != np.float32:
        raise NotImplementedError("its codes are int8, its scales one a tensor or one a row")
    if not x.size:
        raise NotImplementedError("an empty Mat is no input")
    layer = f"Quantize q 1 1 in out 0={max(scale.size, 1)}"
    flat = x if fine else x.reshape(-1)
    return asked([layer], factor(scale), 2, [flat])[0].astype(np.int8).reshape(x.shape)


def _dequantize(inputs: Arrays, types: Arrays) -> Any:
    x, scale = inputs["x"], inputs["scale"]
    if types["x"] != "int32" or scale.ndim or not x.size:
        raise NotImplementedError("it makes reals of int32, with one scale")
    layer = "Dequantize d 1 1 in out 0=1 1=0"
    return asked([layer], scale.astype("<f4").tobytes(), 2, [x.reshape(-1)])[0].reshape(x.shape)


def weights_of(w: Any, scale: Any, inputs: Arrays, x: str) -> bytes:
    """Return weights, bias and scales as a model file has them; ``w`` has outputs first."""
    codes = np.ascontiguousarray(w).tobytes()
    data = INT8 + codes + b"\0" * (-len(codes) % 4)
    step = np.float32(inputs[f"{x}_scale"]) * scale
    if "bias" in inputs:
        data += (inputs["bias"].astype(np.float32) * step).astype("<f4").tobytes()
    return data + factor(scale) + factor(inputs[f"{x}_scale"])


def _relu(inputs: Arrays, params: Arrays) -> int:
    low, high = params.get("clamp_min"), params.get("clamp_max")
    if high is not None or low not in (None, 0):
        raise NotImplementedError("the only clamp is a ReLU")
    return int(low == 0)


def _product(inputs: Arrays, params: Arrays) -> Any:
    a, b = inputs["a"], inputs["b"]
    n = b.shape[1]
    if a.shape[0] == 0 or b.size == 0:
        raise NotImplementedError("an empty Mat is no input")
    scale = np.broadcast_to(inputs["b_scale"], (n,)).astype(np.float32)
    first = f"InnerProduct p 1 1 in real 0={n} 1={int('bias' in inputs)} 2={b.size} 8=1"
    layers = [f"{first} 9={_relu(inputs, params)}", "Quantize q 1 1 real out 0=1"]
    data = weights_of(b.T, scale, inputs, "a") + factor(inputs["y_scale"])
    rows = asked(layers, data, 3, list(a))
    return np.stack(rows).astype(np.int8).reshape(a.shape[0], n)


def _conv(op: str, inputs: Arrays, params: Arrays) -> Any:
    x, w = inputs["x"], inputs["w"]
    top, left, bottom, right = params["pads"]
    group, bias, count = params["group"], int("bias" in inputs), w.shape[0]
    scale = inputs["w_scale"]
    if group != 1:
        if scale.ndim and not (group == count == x.shape[1]):
            raise NotImplementedError("a group has one scale")
        scale = np.broadcast_to(scale, (group,) if not scale.ndim else scale.shape)
    else:
        scale = np.broadcast_to(scale, (count,))
    rows = (*params["strides"], *params["dilations"])
    head = "Convolution" if group == 1 else "ConvolutionDepthWise"
    term = 101
    layer = (
        f"{head} c 1 1 in out 0={count} 1={w.shape[3]} 11={w.shape[2]} 2={rows[3]} 12={rows[2]} "
        f"3={rows[1]} 13={rows[0]} 4={left} 14={top} 15={right} 16={bottom} 5={bias} "
        f"6={w.size} 7={group} 8={term} 9={_relu(inputs, params)}"
    )
    if group != 1 and bias and not group == count:
        raise NotImplementedError("a bias of groups is of other steps")
    data = weights_of(w, scale.astype(np.float32), inputs, "x") + factor(inputs["y_scale"])
    images = asked([layer.replace(" 7=1 ", " ")], data, 2, list(x))
    return np.stack([image.astype(np.int8) for image in images])
