"""A case as a model of LiteRT: the operator, its tensors, and what LiteRT cannot say.

Scales and zero points are part of a file, so all are constants. LiteRT wants more than the
catalogue does: one scale for both ends of a pool, 1/256 after a softmax, activations that are a
Relu of some kind, padding "same" or "valid". Other padding becomes a PAD before the operator; the
rest is ``Unsupported``.

References
----------
LiteRT, ``tflite/kernels`` (``Prepare`` of each operator); "LiteRT 8-bit quantization specification".
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.adapters.litert_models import IMAGES, Model, Operator, Tensor
from refquant_conformance.protocol import Array, Case, Unsupported
from refquant_conformance.types import code_range

__all__ = ["OPERATORS", "model_of"]

_SAME, _VALID = 0, 1
_ACTIVATIONS = {"none": 0, "relu": 1, "relu_n1_to_1": 2, "relu6": 3}


@dataclass(slots=True)
class _Sheet:
    """A model in the making: tensors so far, and how arrays of the case are turned."""

    case: Case
    tensors: list[Tensor] = field(default_factory=list)
    operators: list[Operator] = field(default_factory=list)
    inputs: list[int] = field(default_factory=list)
    orders: dict[str, tuple[int, ...]] = field(default_factory=dict)

    def add(self, tensor: Tensor) -> int:
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def flowing(self, name: str, *, order: tuple[int, ...] | None = None) -> int:
        """Add an input of the case that flows."""
        tensor = self._of_case(name, order, 0)
        index = self.add(tensor)
        self.inputs.append(index)
        if order is not None:
            self.orders[name] = order
        return index

    def weights(self, name: str, *, order: tuple[int, ...], axis: int) -> int:
        """Add weights: constants, unless the case says otherwise."""
        if not self.case.params.get("constant_weights", True):
            index = self.flowing(name, order=order)
            self.tensors[index] = self._of_case(name, order, axis)
            return index
        turned = np.ascontiguousarray(self.case.inputs[name].transpose(order))
        t = self._of_case(name, order, axis)
        return self.add(Tensor(name, t.shape, t.logical, turned, t.scale, t.zero_point, axis))

    def bias(self, x: str, w: str, *, count: int = 0) -> int:
        """Add the bias; its scale is the product of the others.

        If the case has none: zeros as converters do where ``count`` says how many, else -1.
        """
        if "bias" not in self.case.inputs and not count:
            return -1
        scale = self.case.inputs[f"{x}_scale"] * self.case.inputs[f"{w}_scale"]
        array = self.case.inputs.get("bias", np.zeros(count, np.int32))
        zero = np.zeros(scale.shape, np.int64)
        return self.add(Tensor("bias", array.shape, "int32", array, scale, zero))

    def result(self, shape: tuple[int, ...], *, order: tuple[int, ...] | None = None) -> int:
        """Add ``y``, of a shape in LiteRT's order."""
        rule = [self.case.inputs.get(f"y_{n}") for n in ("scale", "zero_point")]
        if order is not None:
            self.orders["y"] = order
        return self.add(Tensor("y", shape, self.case.types["y"], None, *rule))

    def op(
        self, code: str, inputs: tuple[int, ...], output: int, table: str = "", **options: Any
    ) -> None:
        self.operators.append(Operator(code, inputs, (output,), table, options))

    def model(self, output: int) -> Model:
        return Model(
            tuple(self.tensors), tuple(self.operators), tuple(self.inputs), output, self.orders
        )

    def _of_case(self, name: str, order: tuple[int, ...] | None, axis: int) -> Tensor:
        array = self.case.inputs[name]
        shape = array.shape if order is None else tuple(array.shape[i] for i in order)
        scale, zero = (self.case.inputs.get(f"{name}_{n}") for n in ("scale", "zero_point"))
        if scale is not None and zero is None:
            zero = np.zeros(scale.shape, np.int64)
        return Tensor(name, shape, self.case.types[name], None, scale, zero, axis)


def _activation(case: Case) -> int:
    """Return LiteRT's number of the activation that clamps as the case says."""
    qmin, qmax = code_range(case.types["y"])
    low, high = case.params.get("clamp_min"), case.params.get("clamp_max")
    asked = (qmin if low is None else low, qmax if high is None else high)
    scale, zero = float(case.inputs["y_scale"]), int(case.inputs["y_zero_point"])

    def code(real: float) -> int:
        return int(np.clip(zero + np.rint(real / scale), qmin, qmax))

    ends = {
        "none": (qmin, qmax),
        "relu": (code(0), qmax),
        "relu6": (code(0), code(6)),
        "relu_n1_to_1": (code(-1), code(1)),
    }
    for name, codes in ends.items():
        if codes == asked:
            return _ACTIVATIONS[name]
    raise Unsupported(f"LiteRT clamps as Relu, Relu6 or Relu1 do, not to {asked}")


def _quantizer(case: Case) -> Model:
    """QUANTIZE and DEQUANTIZE: one of the two tensors has the rule."""
    if case.params.get("block_size"):
        raise Unsupported("LiteRT quantizes no blocks")
    sheet = _Sheet(case)
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
    sheet = _Sheet(case)
    a, b = sheet.flowing("a"), sheet.weights("b", order=(1, 0), axis=0)
    bias = sheet.bias("a", "b")
    y = sheet.result((case.inputs["a"].shape[0], case.inputs["b"].shape[1]))
    options = {"fusedActivationFunction": _activation(case)}
    sheet.op("FULLY_CONNECTED", (a, b, bias), y, "FullyConnectedOptions", **options)
    return sheet.model(y)


def _pair(case: Case, name: str, otherwise: tuple[int, int]) -> tuple[int, int]:
    rows, columns = case.params.get(name) or otherwise  # type: ignore[misc]  # a pair
    return int(rows), int(columns)


def _padding(
    sheet: _Sheet, x: int, kernel: tuple[int, int], strides: tuple[int, int],
    dilations: tuple[int, int], *, may_pad: bool,
) -> tuple[int, int, tuple[int, int]]:  # fmt: skip
    """Return the tensor to go on with, "same" or "valid", and the rows and columns of the output.

    What neither says becomes a PAD with the zero point, if that ``may_pad``.
    """
    pads = tuple(int(p) for p in sheet.case.params.get("pads") or (0, 0, 0, 0))  # type: ignore[union-attr]  # four numbers
    size = sheet.tensors[x].shape[1:3]
    reach = [d * (k - 1) + 1 for d, k in zip(dilations, kernel, strict=True)]
    out = [
        (n + pads[i] + pads[i + 2] - r) // s + 1
        for i, (n, r, s) in enumerate(zip(size, reach, strides, strict=True))
    ]
    if not any(pads):
        return x, _VALID, (out[0], out[1])
    same = [-(-n // s) for n, s in zip(size, strides, strict=True)]
    total = [
        max((o - 1) * s + r - n, 0) for o, s, r, n in zip(same, strides, reach, size, strict=True)
    ]
    if pads == (total[0] // 2, total[1] // 2, -(-total[0] // 2), -(-total[1] // 2)) and out == same:
        return x, _SAME, (out[0], out[1])
    if not may_pad:
        raise Unsupported(f"LiteRT pads a pool as SAME or VALID do, not by {pads}")
    t = sheet.tensors[x]
    by = np.array([[0, 0], [pads[0], pads[2]], [pads[1], pads[3]], [0, 0]], np.int32)
    held = sheet.add(Tensor("pads", (4, 2), "int32", by))
    shape = tuple(int(n) for n in np.array(t.shape) + by.sum(1))
    padded = sheet.add(Tensor("padded", shape, t.logical, None, t.scale, t.zero_point))
    sheet.op("PAD", (x, held), padded, "PadOptions")
    return padded, _VALID, (out[0], out[1])


def _conv(case: Case) -> Model:
    _of_one_type(case, "x", "w")
    sheet = _Sheet(case)
    group, (n, channels, *_) = int(case.params.get("group", 1)), case.inputs["x"].shape  # type: ignore[arg-type]  # a number
    count, _, *size = case.inputs["w"].shape
    depthwise = group == channels and group > 1
    x = sheet.flowing("x", order=IMAGES)
    order, axis = ((1, 2, 3, 0), 3) if depthwise else (IMAGES, 0)
    w = sheet.weights("w", order=order, axis=axis)
    bias = sheet.bias("x", "w", count=count)
    strides, dilations = (_pair(case, name, (1, 1)) for name in ("strides", "dilations"))
    kernel = (size[0], size[1])
    source, padding, out = _padding(sheet, x, kernel, strides, dilations, may_pad=True)
    y = sheet.result((n, *out, count), order=IMAGES)
    options: dict[str, Any] = {
        "padding": padding,
        **{"strideH": strides[0], "strideW": strides[1]},
        **{"dilationHFactor": dilations[0], "dilationWFactor": dilations[1]},
        "fusedActivationFunction": _activation(case),
    }
    if depthwise:
        options["depthMultiplier"] = count // channels
        sheet.op("DEPTHWISE_CONV_2D", (source, w, bias), y, "DepthwiseConv2DOptions", **options)
    else:
        sheet.op("CONV_2D", (source, w, bias), y, "Conv2DOptions", **options)
    return sheet.model(y)


def _binary(code: str) -> Callable[[Case], Model]:
    def make(case: Case) -> Model:
        sheet = _Sheet(case)
        a, b = sheet.flowing("a"), sheet.flowing("b")
        shape = np.broadcast_shapes(case.inputs["a"].shape, case.inputs["b"].shape)
        y = sheet.result(shape)
        options = {"fusedActivationFunction": _activation(case)}
        sheet.op(code, (a, b), y, f"{code.title()}Options", **options)
        return sheet.model(y)

    return make


def _average_pool(case: Case) -> Model:
    _equal_ends(case)
    sheet = _Sheet(case)
    x = sheet.flowing("x", order=IMAGES)
    kernel, strides = _pair(case, "kernel", (1, 1)), _pair(case, "strides", (1, 1))
    _, padding, out = _padding(sheet, x, kernel, strides, (1, 1), may_pad=False)
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
    sheet = _Sheet(case)
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
        sheet = _Sheet(case)
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
        "qlinear_add": _binary("ADD"),
        "qlinear_mul": _binary("MUL"),
        "qlinear_average_pool": _average_pool,
        "qlinear_mean": _mean,
        "qlinear_softmax": _unary("SOFTMAX", "SoftmaxOptions", beta="beta"),
        "qlinear_sigmoid": _unary("LOGISTIC"),
        "qlinear_tanh": _unary("TANH"),
        "qlinear_leaky_relu": _unary("LEAKY_RELU", "LeakyReluOptions", alpha="alpha"),
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
