"""A case as a model of LiteRT: the operator, its tensors, and what LiteRT cannot say.

Scales and zero points are part of a file, so all are constants. LiteRT wants more than the
catalogue does: one scale for both ends of a pool, 1/256 after a softmax, activations that are a
Relu of some kind, padding as ``litert_sheet`` says. The rest is ``Unsupported``.

References
----------
LiteRT, ``tflite/kernels`` (``Prepare`` of each operator); "LiteRT 8-bit quantization
specification".
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.adapters.litert_models import IMAGES, Model, Tensor
from refquant_conformance.adapters.litert_movement import MOVED
from refquant_conformance.adapters.litert_sheet import Sheet, activation_of, padded, pair_of
from refquant_conformance.protocol import Case, Unsupported

__all__ = ["OPERATORS", "model_of"]


def _quantizer(case: Case) -> Model:
    """QUANTIZE and DEQUANTIZE: one of the two tensors has the rule."""
    if case.params.get("block_size"):
        raise Unsupported("LiteRT quantizes no blocks")
    sheet = Sheet(case)
    scale, zero = case.inputs["scale"], case.inputs.get("zero_point")
    zero = np.zeros(scale.shape, np.int64) if zero is None else zero
    axis = int(case.params.get("axis") or 0)  # type: ignore[arg-type]  # an axis is an integer
    shape = case.inputs["x"].shape
    rules = {"quantize_linear": "y", "dequantize_linear": "x"}
    made = {
        name: Tensor(name, shape, case.types[name], None, scale, zero, axis)
        if rules[case.op] == name
        else Tensor(name, shape, case.types[name])
        for name in ("x", "y")
    }
    x, y = sheet.add(made["x"]), sheet.add(made["y"])
    sheet.inputs.append(x)
    code = "QUANTIZE" if case.op == "quantize_linear" else "DEQUANTIZE"
    sheet.op(code, (x,), y, f"{code.title()}Options")
    return sheet.model(y)


def _of_one_type(case: Case, x: str, w: str) -> None:
    """Refuse uint8 by int8: the kernels take it, and read the bytes of one as the other's."""
    if case.types[x] != case.types[w]:
        raise Unsupported(f"LiteRT has no product of {case.types[x]} and {case.types[w]}")


def _matmul(case: Case) -> Model:
    _of_one_type(case, "a", "b")
    sheet = Sheet(case)
    a, b = sheet.flowing("a"), sheet.weights("b", order=(1, 0), axis=0)
    bias = sheet.bias("a", "b")
    y = sheet.result((case.inputs["a"].shape[0], case.inputs["b"].shape[1]))
    options = {"fusedActivationFunction": activation_of(case)}
    sheet.op("FULLY_CONNECTED", (a, b, bias), y, "FullyConnectedOptions", **options)
    return sheet.model(y)


def _conv(case: Case) -> Model:
    _of_one_type(case, "x", "w")
    sheet = Sheet(case)
    n, channels, *_ = case.inputs["x"].shape
    count, _, *size = case.inputs["w"].shape
    depthwise = case.op == "qlinear_depthwise_conv"
    x = sheet.flowing("x", order=IMAGES)
    order, axis = ((1, 2, 3, 0), 3) if depthwise else (IMAGES, 0)
    w = sheet.weights("w", order=order, axis=axis)
    bias = sheet.bias("x", "w", count=count)
    strides, dilations = (pair_of(case, name, (1, 1)) for name in ("strides", "dilations"))
    kernel = (size[0], size[1])
    source, padding, out = padded(sheet, x, kernel, strides, dilations, may_pad=True)
    y = sheet.result((n, *out, count), order=IMAGES)
    options: dict[str, Any] = {
        "padding": padding,
        **{"strideH": strides[0], "strideW": strides[1]},
        **{"dilationHFactor": dilations[0], "dilationWFactor": dilations[1]},
        "fusedActivationFunction": activation_of(case),
    }
    if depthwise:
        options["depthMultiplier"] = count // channels
        sheet.op("DEPTHWISE_CONV_2D", (source, w, bias), y, "DepthwiseConv2DOptions", **options)
    else:
        sheet.op("CONV_2D", (source, w, bias), y, "Conv2DOptions", **options)
    return sheet.model(y)


def _binary(code: str) -> Callable[[Case], Model]:
    def make(case: Case) -> Model:
        sheet = Sheet(case)
        a, b = sheet.flowing("a"), sheet.flowing("b")
        shape = np.broadcast_shapes(case.inputs["a"].shape, case.inputs["b"].shape)
        y = sheet.result(shape)
        options = {"fusedActivationFunction": activation_of(case)}
        sheet.op(code, (a, b), y, f"{code.title()}Options", **options)
        return sheet.model(y)

    return make


def _average_pool(case: Case) -> Model:
    _equal_ends(case)
    if case.params.get("count_include_pad"):
        raise Unsupported("LiteRT counts no padding in an average")
    sheet = Sheet(case)
    x = sheet.flowing("x", order=IMAGES)
    kernel, strides = pair_of(case, "kernel", (1, 1)), pair_of(case, "strides", (1, 1))
    _, padding, out = padded(sheet, x, kernel, strides, (1, 1), may_pad=False)
    n, channels = case.inputs["x"].shape[:2]
    y = sheet.result((n, *out, channels), order=IMAGES)
    options = {
        "padding": padding,
        **{"strideH": strides[0], "strideW": strides[1]},
        **{"filterHeight": kernel[0], "filterWidth": kernel[1]},
    }
    sheet.op("AVERAGE_POOL_2D", (x,), y, "Pool2DOptions", **options)
    return sheet.model(y)


def _equal_ends(case: Case) -> None:
    for name in ("scale", "zero_point"):
        if case.inputs[f"x_{name}"] != case.inputs[f"y_{name}"]:
            raise Unsupported("LiteRT's average pool has one scale and zero point for both ends")


def _mean(case: Case) -> Model:
    """MEAN over rows and columns; of images in LiteRT's order, as models have it."""
    sheet = Sheet(case)
    shape = case.inputs["x"].shape
    order = IMAGES if len(shape) == 4 else None
    x = sheet.flowing("x", order=order)
    axes = np.array([1, 2] if order else [len(shape) - 2, len(shape) - 1], np.int32)
    held = sheet.add(Tensor("axes", (2,), "int32", axes))
    left = tuple(1 if i in axes else n for i, n in enumerate(sheet.tensors[x].shape))
    y = sheet.result(left, order=order)
    sheet.op("MEAN", (x, held), y, "ReducerOptions", keepDims=True)
    return sheet.model(y)


_OUTPUTS = {"LOGISTIC": (256, 0), "SOFTMAX": (256, 0), "TANH": (128, 128)}


def _unary(code: str, table: str = "", **named: str) -> Callable[[Case], Model]:
    def make(case: Case) -> Model:
        if code in _OUTPUTS:
            steps, middle = _OUTPUTS[code]
            zero = middle + (-128 if case.types["y"] == "int8" else 0)
            found = float(case.inputs["y_scale"]), int(case.inputs["y_zero_point"])
            if found != (1 / steps, zero):
                raise Unsupported(f"LiteRT's {code} has the output scale 1/{steps}, zero {zero}")
        sheet = Sheet(case)
        x = sheet.flowing("x")
        y = sheet.result(case.inputs["x"].shape)
        options: dict[str, Any] = {to: case.params.get(name, 1.0) for to, name in named.items()}
        sheet.op(code, (x,), y, table, **options)
        return sheet.model(y)

    return make


OPERATORS: Mapping[str, Callable[[Case], Model]] = MappingProxyType(
    {
        "quantize_linear": _quantizer,
        "dequantize_linear": _quantizer,
        "qlinear_matmul": _matmul,
        "qlinear_conv": _conv,
        "qlinear_depthwise_conv": _conv,
        "qlinear_add": _binary("ADD"),
        "qlinear_mul": _binary("MUL"),
        "qlinear_average_pool": _average_pool,
        "qlinear_mean": _mean,
        "qlinear_softmax": _unary("SOFTMAX", "SoftmaxOptions", beta="beta"),
        "qlinear_sigmoid": _unary("LOGISTIC"),
        "qlinear_tanh": _unary("TANH"),
        "qlinear_leaky_relu": _unary("LEAKY_RELU", "LeakyReluOptions", alpha="alpha"),
        **MOVED,
    }
)
"""The operators that LiteRT has on codes."""


def model_of(case: Case) -> Model:
    """Return the model of a case; ``Unsupported`` says what LiteRT has no word for.

    >>> from refquant_conformance.adapters.samples import sample
    >>> [o.code for o in model_of(sample("qlinear_matmul", "i8_i8")).operators]
    ['FULLY_CONNECTED']
    """
    if case.op not in OPERATORS:
        raise Unsupported(f"LiteRT has no {case.op}")
    model = OPERATORS[case.op](case)
    for tensor in model.tensors:
        if tensor.logical not in _KNOWN:
            raise Unsupported(f"this adapter asks LiteRT for no {tensor.logical}")
    return model


_KNOWN = ("float32", "float16", "int32", "uint8", "int8", "int16", "uint16")
