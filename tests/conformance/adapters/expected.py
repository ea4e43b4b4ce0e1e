"""What a preset computes for a case: the reference's operators behind the catalogue's names."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import QParams, dequantize, quantize
from refquant.model.importers.tflite_tables import table_of
from refquant.numerics.minifloat import decode
from refquant.numerics.minifloat_formats import float_format
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
from refquant_conformance.types import INTEGERS

Array = NDArray[Any]
UNARY = {
    "qlinear_sigmoid": ("Sigmoid", "LOGISTIC"),
    "qlinear_tanh": ("Tanh", "TANH"),
    "qlinear_leaky_relu": ("LeakyRelu", "LEAKY_RELU"),
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
    elif case.op == "qlinear_conv":
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
    ours, theirs = UNARY[case.op]
    if contract.name.startswith(("tflite", "xnnpack")):
        table = table_of(contract, theirs, x_qparams, y["y_qparams"])
    else:
        attributes: Any = {"alpha": p["alpha"]} if "alpha" in p else {}
        table = unary_table(ours, attributes, x_qparams, y["y_qparams"], contract)
    return apply_table(x, table)


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
