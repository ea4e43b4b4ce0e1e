"""The nodes of each operator in ONNX: on codes (``DIRECT``), and between pairs (``PAIRS``).

``clamp_min`` and ``clamp_max`` are codes of the output. On codes they are a Clip after the
operator; between pairs a Relu, or a Clip of reals, before QuantizeLinear, as models have them.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np

from refquant_conformance.adapters.onnx_models import ELEMENT_TYPES, MICROSOFT, Node, Parts
from refquant_conformance.protocol import Array, Case, Unsupported
from refquant_conformance.types import code_range, storage

__all__ = ["DIRECT", "PAIRS"]

_UNARY = ("x", "x_scale", "x_zero_point", "y_scale", "y_zero_point")
_BINARY = ("a", "a_scale", "a_zero_point", "b", "b_scale", "b_zero_point", *_UNARY[3:])


def _inputs(case: Case, *names: str) -> tuple[str, ...]:
    """Return the names, an empty one for each input that is absent; none at the end."""
    found = [name if name in case.inputs else "" for name in names]
    while found and not found[-1]:
        found.pop()
    return tuple(found)


def _quantizer(op: str) -> Callable[[Case], Parts]:
    def make(case: Case) -> Parts:
        attributes: dict[str, Any] = {}
        if case.params.get("axis") is not None:
            attributes["axis"] = case.params["axis"]
        if case.params.get("block_size"):
            attributes["block_size"] = case.params["block_size"]
        if op == "QuantizeLinear" and "zero_point" not in case.inputs:
            attributes["output_dtype"] = ELEMENT_TYPES[case.types["y"]]
        return Parts((Node(op, _inputs(case, "x", "scale", "zero_point"), ("y",), attributes),))

    return make


def _dynamic(case: Case) -> Parts:
    if case.types["y"] != "uint8":
        raise Unsupported("DynamicQuantizeLinear gives uint8 only")
    return Parts((Node("DynamicQuantizeLinear", ("x",), ("y", "scale", "zero_point")),))


def _matmul_integer(case: Case) -> Parts:
    return Parts((Node("MatMulInteger", _inputs(case, "a", "b", "a_zero_point", "b_zero_point")),))


def _clipped(case: Case, node: Node, constants: Mapping[str, tuple[str, Array]]) -> Parts:
    """Return ``node``, and a Clip of codes if the case has one."""
    bounds = [case.params.get("clamp_min"), case.params.get("clamp_max")]
    if bounds == [None, None]:
        return Parts((node,), constants)
    logical = case.types["y"]
    held = {
        name: (logical, np.array(end if bound is None else bound, storage(logical)))
        for name, bound, end in zip(("low", "high"), bounds, code_range(logical), strict=True)
    }
    before = Node(node.op, node.inputs, ("free",), node.attributes, node.domain)
    return Parts((before, Node("Clip", ("free", "low", "high"))), {**constants, **held})


def _qlinear_matmul(case: Case) -> Parts:
    if "bias" in case.inputs:
        names = (*_BINARY[:6], "bias", *_BINARY[6:])
        return _clipped(case, Node("QGemm", names, domain=MICROSOFT), {})
    return _clipped(case, Node("QLinearMatMul", _BINARY), {})


def _convolution(case: Case) -> dict[str, Any]:
    return {
        "strides": case.params.get("strides", (1, 1)),
        "pads": case.params.get("pads", (0, 0, 0, 0)),
        "dilations": case.params.get("dilations", (1, 1)),
        "group": case.params.get("group", 1),
    }


def _qlinear_conv(case: Case) -> Parts:
    names = ("x", "x_scale", "x_zero_point", "w", "w_scale", "w_zero_point", "y_scale")
    inputs = _inputs(case, *names, "y_zero_point", "bias")
    return _clipped(case, Node("QLinearConv", inputs, attributes=_convolution(case)), {})


def _window(case: Case) -> dict[str, Any]:
    return {
        "kernel_shape": case.params["kernel"],
        "strides": case.params.get("strides", (1, 1)),
        "pads": case.params.get("pads", (0, 0, 0, 0)),
        "count_include_pad": int(bool(case.params.get("count_include_pad", 0))),
    }


def _microsoft(
    op: str, inputs: tuple[str, ...], attributes: Callable[[Case], dict[str, Any]]
) -> Callable[[Case], Parts]:
    def make(case: Case) -> Parts:
        return Parts((Node(op, inputs, ("y",), attributes(case), MICROSOFT),))

    return make


def _qlinear_mean(case: Case) -> Parts:
    if case.inputs["x"].ndim != 4:
        raise Unsupported("QLinearGlobalAveragePool takes images, four axes")
    return Parts((Node("QLinearGlobalAveragePool", _UNARY, domain=MICROSOFT),))


def _leaky(case: Case) -> dict[str, Any]:
    return {"alpha": float(case.params["alpha"])}  # type: ignore[arg-type]  # a number, as the catalogue says


DIRECT: Mapping[str, Callable[[Case], Parts]] = MappingProxyType(
    {
        "quantize_linear": _quantizer("QuantizeLinear"),
        "dequantize_linear": _quantizer("DequantizeLinear"),
        "dynamic_quantize_linear": _dynamic,
        "matmul_integer": _matmul_integer,
        "qlinear_matmul": _qlinear_matmul,
        "qlinear_conv": _qlinear_conv,
        "qlinear_depthwise_conv": _qlinear_conv,
        "qlinear_add": _microsoft("QLinearAdd", _BINARY, lambda case: {}),
        "qlinear_mul": _microsoft("QLinearMul", _BINARY, lambda case: {}),
        "qlinear_average_pool": _microsoft("QLinearAveragePool", _UNARY, _window),
        "qlinear_mean": _qlinear_mean,
        "qlinear_softmax": _microsoft(
            "QLinearSoftmax", _UNARY, lambda case: {"axis": -1, "opset": 13}
        ),
        "qlinear_sigmoid": _microsoft("QLinearSigmoid", _UNARY, lambda case: {}),
        "qlinear_leaky_relu": _microsoft("QLinearLeakyRelu", _UNARY, _leaky),
    }
)
"""Operators on codes, by name."""


def _dequantized(case: Case, name: str, axis: int) -> Node:
    """Return the pair's first half: ``name`` as reals, ``real_name``."""
    inputs = (name, f"{name}_scale", f"{name}_zero_point")
    attributes = {"axis": axis} if case.inputs[f"{name}_scale"].ndim else {}
    return Node("DequantizeLinear", inputs, (f"real_{name}",), attributes)


def _real_bias(case: Case, x: str, w: str) -> tuple[Node, dict[str, tuple[str, Array]]]:
    """Return the bias as reals: its scale is the product of the scales of ``x`` and ``w``."""
    scale = (case.inputs[f"{x}_scale"] * case.inputs[f"{w}_scale"]).astype(np.float32)
    attributes = {"axis": 0} if scale.ndim else {}
    node = Node("DequantizeLinear", ("bias", "bias_scale"), ("real_bias",), attributes)
    return node, {"bias_scale": ("float32", scale)}


def _activated(case: Case, source: str) -> tuple[list[Node], dict[str, tuple[str, Array]]]:
    """Return the nodes from ``source`` to codes: the activation if any, then QuantizeLinear."""
    bounds = [case.params.get("clamp_min"), case.params.get("clamp_max")]
    last = Node("QuantizeLinear", (source, "y_scale", "y_zero_point"))
    if bounds == [None, None]:
        return [last], {}
    last = Node("QuantizeLinear", ("active", "y_scale", "y_zero_point"))
    scale, zero_point = (case.inputs[f"y_{name}"] for name in ("scale", "zero_point"))
    if bounds == [int(zero_point), None]:
        return [Node("Relu", (source,), ("active",)), last], {}
    held = {
        name: ("float32", np.float32(float(bound) - int(zero_point)) * scale)  # type: ignore[arg-type]  # a code
        for name, bound in zip(("low", "high"), bounds, strict=True)
        if bound is not None
    }
    names = (source, *(name if name in held else "" for name in ("low", "high")))
    arrays = {name: (logical, np.asarray(a, np.float32)) for name, (logical, a) in held.items()}
    return [Node("Clip", names, ("active",)), last], arrays


def _between(
    op: str, names: tuple[str, ...], attributes: Callable[[Case], dict[str, Any]]
) -> Callable[[Case], Parts]:
    def make(case: Case) -> Parts:
        first = [_dequantized(case, name, 1 if name == "b" else 0) for name in names]
        inputs = tuple(f"real_{name}" for name in names)
        constants: dict[str, tuple[str, Array]] = {}
        kind = op
        if "bias" in case.inputs:
            bias, constants = _real_bias(case, *names)
            first.append(bias)
            inputs = (*inputs, "real_bias")
            kind = "Gemm" if op == "MatMul" else op
        last, more = _activated(case, "real_y")
        middle = Node(kind, inputs, ("real_y",), attributes(case))
        return Parts((*first, middle, *last), {**constants, **more})

    return make


def _mean_of_reals(case: Case) -> Parts:
    if case.inputs["x"].ndim == 4:
        return _between("GlobalAveragePool", ("x",), lambda case: {})(case)
    first, middle, last = _between("ReduceMean", ("x",), lambda case: {"keepdims": 1})(case).nodes
    both = Node(middle.op, (*middle.inputs, "axes"), middle.outputs, middle.attributes)
    return Parts((first, both, last), {"axes": ("int64", np.array([-2, -1], np.int64))})


PAIRS: Mapping[str, Callable[[Case], Parts]] = MappingProxyType(
    {
        "qlinear_matmul": _between("MatMul", ("a", "b"), lambda case: {}),
        "qlinear_conv": _between("Conv", ("x", "w"), _convolution),
        "qlinear_depthwise_conv": _between("Conv", ("x", "w"), _convolution),
        "qlinear_add": _between("Add", ("a", "b"), lambda case: {}),
        "qlinear_mul": _between("Mul", ("a", "b"), lambda case: {}),
        "qlinear_average_pool": _between("AveragePool", ("x",), _window),
        "qlinear_mean": _mean_of_reals,
        "qlinear_softmax": _between("Softmax", ("x",), lambda case: {"axis": -1}),
        "qlinear_sigmoid": _between("Sigmoid", ("x",), lambda case: {}),
        "qlinear_tanh": _between("Tanh", ("x",), lambda case: {}),
        "qlinear_leaky_relu": _between("LeakyRelu", ("x",), _leaky),
    }
)
"""Float operators between pairs, by name."""
