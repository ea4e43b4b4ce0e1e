"""What a preset computes for a case: the reference's operators behind the catalogue's names."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams, dequantize, quantize
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import float_format
from refquant.numerics.requantize import requantize
from refquant.numerics.rounding import round_half_away
from refquant.ops.conv import conv_quantized
from refquant.ops.elementwise import add_quantized, mul_quantized
from refquant.ops.matmul import matmul_integer, matmul_quantized
from refquant.ops.mean import reduce_mean_quantized
from refquant.ops.pool import (
    average_pool_f32,
    average_pool_quantized,
    global_average_pool_quantized,
)
from refquant.ops.quantize_linear import dynamic_quantize_linear
from refquant.ops.softmax import softmax_quantized, softmax_table
from refquant.ops.unary import apply_table, unary_table
from refquant_conformance.protocol import Case
from refquant_conformance.types import INTEGERS, code_range

Array = NDArray[Any]
UNARY = {
    "qlinear_sigmoid": "Sigmoid",
    "qlinear_tanh": "Tanh",
    "qlinear_leaky_relu": "LeakyRelu",
}


def qparams(case: Case, name: str, axis: int = 0) -> QParams:
    """Scale and zero point of one operand, a number or one a channel along ``axis``."""
    sign, points = case.inputs[f"{name}_scale"], case.inputs[f"{name}_zero_point"]
    if not sign.ndim:
        return QParams(np.float32(sign), np.int32(points), None, case.types[name])
    shape = case.inputs[name].shape
    wide = tuple(n if i == axis else 1 for i, n in enumerate(shape))
    blocks = tuple(1 if i == axis else n for i, n in enumerate(shape))
    return QParams(
        sign.reshape(wide), points.astype(np.int32).reshape(wide), blocks, case.types[name]
    )


def expected(case: Case, contract: Contract) -> dict[str, Array]:
    """The outputs of ``case`` under ``contract``."""
    i, p = case.inputs, case.params
    if case.op == "matmul_integer":
        zero = {f"{k}_zero_point": i[f"{n}_zero_point"] for k, n in (("x", "a"), ("w", "b"))}
        return {"y": matmul_integer(i["a"], i["b"], **zero)}
    if case.op == "dynamic_quantize_linear":
        names = ("y", "scale", "zero_point")
        return dict(zip(names, dynamic_quantize_linear(i["x"], contract), strict=True))
    if case.op == "dequantize_linear":
        return {"y": dequantized(case)}
    y: dict[str, Any] = {"y_qparams": qparams(case, "y"), "contract": contract}
    y_clamped = {**y, **{k: p[k] for k in ("clamp_min", "clamp_max") if k in p}}
    if case.op == "qlinear_matmul":
        made = matmul_quantized(
            i["a"], i["b"], i.get("bias"), x_qparams=qparams(case, "a"),
            w_qparams=qparams(case, "b", 1), **y_clamped,
        )  # fmt: skip
    elif case.op in ("qlinear_conv", "qlinear_depthwise_conv"):
        window: Any = {k: p[k] for k in ("strides", "pads", "dilations", "group")}
        made = conv_quantized(
            i["x"], i["w"], i.get("bias"), x_qparams=qparams(case, "x"),
            w_qparams=qparams(case, "w"), **y_clamped, **window,
        )  # fmt: skip
    elif case.op in ("qlinear_add", "qlinear_mul"):
        compute = add_quantized if case.op == "qlinear_add" else mul_quantized
        both: dict[str, Any] = {f"{n}_qparams": qparams(case, n) for n in "ab"}
        made = compute(i["a"], i["b"], **both, **y)
    else:
        made = of_one(case, y, contract)
    return {"y": made}


def of_one(case: Case, y: dict[str, Any], contract: Contract) -> Array:
    x, p = case.inputs["x"], case.params
    x_qparams = qparams(case, "x")
    if case.op == "qlinear_average_pool":
        window: Any = {k: p[k] for k in ("strides", "pads")}
        return average_pool_quantized(
            x, x_qparams=x_qparams, **y, kernel_shape=p["kernel"], **window  # type: ignore[arg-type]  # a tuple
        )  # fmt: skip
    if case.op == "qlinear_mean":
        if contract.mean == "unspecified":
            return global_average_pool_quantized(x, x_qparams=x_qparams, **y)
        return reduce_mean_quantized(x, axes=(2, 3), x_qparams=x_qparams, **y)
    if case.op == "qlinear_softmax":
        table = None
        if contract.softmax not in ("dequantize", "unspecified"):
            table = softmax_table(x_qparams, beta=1.0, contract=contract)
        return softmax_quantized(x, table, x_qparams=x_qparams, **y)
    if contract.name.startswith(("tflite", "xnnpack")):
        return of_litert(case, early=contract.name == "xnnpack")
    attributes: Any = {"alpha": p["alpha"]} if "alpha" in p else {}
    table = unary_table(UNARY[case.op], attributes, x_qparams, y["y_qparams"], contract)
    return apply_table(x, table)


FUNCTIONS: dict[str, Any] = {
    "qlinear_sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "qlinear_tanh": np.tanh,
}


def of_litert(case: Case, *, early: bool) -> Array:
    """Functions of one tensor by LiteRT: XNNPACK adds the zero point early, before it rounds.

    LEAKY_RELU has two multipliers, rounded in 31 bits, or in 8 by XNNPACK.
    """
    i = case.inputs
    sx, sy = i["x_scale"], i["y_scale"]
    offset = i["x"].astype(np.int64) - int(i["x_zero_point"])
    zero = int(i["y_zero_point"])
    if case.op == "qlinear_leaky_relu":
        alpha = np.float32(case.params["alpha"])  # type: ignore[arg-type]  # a number
        up, down = np.float32(sx / sy), np.float32(np.float32(sx * alpha) / sy)
        if early:
            slopes = [int(np.rint(np.float32(256) * m)) for m in (up, np.float32(alpha * up))]
            y: Array = np.where(
                offset >= 0, *((m * offset + 256 * zero + 128) >> 8 for m in slopes)
            )
        else:
            moved = [requantize(offset, np.float64(m), mode="gemmlowp_double") for m in (up, down)]
            y = np.where(offset >= 0, *moved) + zero
    else:
        real = (offset.astype(np.float32) * sx).astype(np.float64)
        steps = FUNCTIONS[case.op](real).astype(np.float32) * (np.float32(1) / sy)
        y = np.rint(steps + np.float32(zero)) if early else round_half_away(steps) + zero
    qmin, qmax = code_range(case.types["y"])
    return np.asarray(np.clip(y, qmin, qmax), i["x"].dtype)


def averaged_by_builtin(case: Case) -> Array:
    """MEAN over images by LiteRT's builtin kernel, which is two.

    Sixteen channels at a time round ties of the last shift upwards, what is left over away from
    zero; the zero point of x is scaled by itself.
    """
    i = case.inputs
    x, sx, sy = i["x"].astype(np.int64), i["x_scale"], i["y_scale"]
    n, channels = x.shape[2] * x.shape[3], x.shape[1]
    total = x.sum((2, 3), keepdims=True)
    own = round_half_away(np.float32(np.float32(int(i["x_zero_point"])) * sx / sy))
    multiplier = np.float64(sx / np.float32(np.float32(n) * sy))
    body, tail = (
        requantize(total, multiplier, mode=mode) for mode in ("neon_double", "gemmlowp_double")
    )
    whole = np.arange(channels) < channels // 16 * 16
    y = np.where(whole[:, None, None], body, tail) + int(i["y_zero_point"]) - int(own)
    qmin, qmax = code_range(case.types["y"])
    return np.asarray(np.clip(y, qmin, qmax), i["x"].dtype)


def dequantized(case: Case) -> Array:
    """The reals; scales one a channel or a block are spread first. int32 is rounded to float32."""
    i = case.inputs
    scale, zero = i["scale"], i["zero_point"].astype(np.int64)
    if scale.ndim == 1:
        scale, zero = scale[:, None], zero[:, None]
    elif scale.ndim == 2:
        size = int(case.params["block_size"])  # type: ignore[arg-type]  # a number
        scale, zero = np.repeat(scale, size, 1), np.repeat(zero, size, 1)
    if case.types["x"] not in INTEGERS:
        reals = decode(i["x"], float_format(case.types["x"].partition("_")[2]))
    else:
        reals = (i["x"].astype(np.int64) - zero).astype(np.float32)
    return np.asarray(reals * scale, np.float32)


def averaged_as_reals(case: Case, contract: Contract) -> Array:
    """A mean of reals, quantized: but over a whole plane, where it is a global pool of codes."""
    x, p, y = case.inputs["x"], case.params, qparams(case, "y")
    if p["kernel"] == x.shape[2:] and not any(p["pads"]):  # type: ignore[arg-type]  # a tuple
        return expected(replace(case, op="qlinear_mean"), contract)["y"]
    reals = dequantize(x, qparams(case, "x"))
    window: Any = {k: p[k] for k in ("strides", "pads")}
    mean = average_pool_f32(reals, kernel_shape=p["kernel"], **window)  # type: ignore[arg-type]  # a tuple
    return quantize(mean, y, contract=contract)
