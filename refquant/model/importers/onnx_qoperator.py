"""Operators that have codes, scales and zero points as inputs: ONNX's own and ``com.microsoft``'s.

A ``QLinear...`` is what a QDQ pair around its operator is fused to, so it is imported as one::

    QLinearConv(x, sx, zx, w, sw, zw, sy, zy, bias)
        =  QuantizeLinear(Conv(DequantizeLinear(x), DequantizeLinear(w), bias sx sw), sy, zy)

Left out: QAttention, QLinearReduceMean, channels last.

References: ONNX ``QLinearConv``, ``QLinearMatMul``; onnxruntime
``docs/ContribOperators.md``.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.importers.onnx_codes import check_reading, coded_constant, meaning
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_on_codes import FUSED, Target
from refquant.model.importers.onnx_scope import Known, Reals, Scope, Seen, Unsupported

__all__ = ["QOPERATOR"]

Lower = Callable[[Scope, OnnxNode], None]
Array = NDArray[Any]


def _reals(s: Scope, node: OnnxNode, places: Sequence[int], axis: int) -> str:
    """Give the codes, scale and zero point at ``places`` a name that stands for their reals."""
    scale, zero = (s.known(node, i, f"input {i}") for i in places[1:])
    if scale is None:
        raise Unsupported(f"the scale (input {places[1]}) is absent")
    source = node.inputs[places[0]]
    name, item = f"{node.label}/{places[0]}", s.item(source)
    known = isinstance(item, Known)
    if isinstance(item, Known):
        label = coded_constant(s, source, item.array, item.dtype, scale, zero, axis=axis)
    else:
        label = s.value_of(source)
    check_reading(s, node, source, places[2], None if known else meaning(scale, zero))
    s.items[name] = Reals(label, node)
    return name


def _target(s: Scope, node: OnnxNode, scale_at: int) -> Target:
    scale, zero = (s.known(node, i, f"input {i}") for i in (scale_at, scale_at + 1))
    if scale is None:
        raise Unsupported("the scale of the output is absent")
    dtype = "uint8" if zero is None else zero.dtype.name
    return Target(node.outputs[0], dtype, meaning(scale, zero), {})


def _linear(
    op: str, operands: Sequence[Sequence[int]], scale_at: int, *, bias: int | None = None
) -> Lower:
    """Return the lowering of ``op`` with codes at ``operands``, weights last."""

    def lower(s: Scope, node: OnnxNode) -> None:
        if node.attributes.get("channels_last", 0):
            raise Unsupported("channels_last")
        axis = 0 if op == "Conv" or node.attributes.get("transB", 0) else -1
        names = [_reals(s, node, places, axis) for places in operands]
        if bias is not None and s.has(node, bias):
            names.append(_bias(s, node, bias, names))
        reals = OnnxNode(node.label, op, tuple(names), (f"{node.outputs[0]}/reals",),
                         node.attributes)  # fmt: skip
        target = _target(s, node, scale_at)
        FUSED[op](s, reals, target)
        s.items[target.output] = Seen(target.output, target.dtype)

    return lower


def _bias(s: Scope, node: OnnxNode, index: int, names: Sequence[str]) -> str:
    """Give the int32 bias the scale of the products, which it has by definition."""
    codes = s.known(node, index, "the bias")
    x, w = (s.items[name] for name in names)
    assert isinstance(x, Reals), "made by _reals"
    assert isinstance(w, Reals), "made by _reals"
    scales = []
    for item in (x, w):
        quant = s.b.values[item.value].quant
        assert quant is not None, "codes have a meaning"
        named = quant.scale
        scales.append(s.b.constants[named] if isinstance(named, str) else np.float32(named))
    product = np.asarray(scales[0] * scales[1], np.float32).ravel()
    assert codes is not None, "the caller has seen it"
    if codes.dtype != np.int32:
        raise Unsupported(f"the bias (input {index}) is int32, got {codes.dtype}")
    label = coded_constant(s, node.inputs[index], codes, "int32", product, None, axis=0)
    name = f"{node.label}/bias"
    s.items[name] = Reals(label, node)
    return name


def _concat(s: Scope, node: OnnxNode) -> None:
    names = [_reals(s, node, (i, i + 1, i + 2), 0) for i in range(2, len(node.inputs), 3)]
    reals = OnnxNode(node.label, "Concat", tuple(names), (f"{node.outputs[0]}/reals",),
                     node.attributes)  # fmt: skip
    target = _target(s, node, 0)
    FUSED["Concat"](s, reals, target)
    s.items[target.output] = Seen(target.output, target.dtype)


_X, _W = (0, 1, 2), (3, 4, 5)
QOPERATOR: Mapping[str, Lower] = {
    "QLinearConv": _linear("Conv", (_X, _W), 6, bias=8),
    "QLinearMatMul": _linear("MatMul", (_X, _W), 6),
    "QGemm": _linear("Gemm", (_X, _W), 7, bias=6),
    "QLinearAdd": _linear("Add", (_X, _W), 6),
    "QLinearMul": _linear("Mul", (_X, _W), 6),
    "QLinearAveragePool": _linear("AveragePool", (_X,), 3),
    "QLinearGlobalAveragePool": _linear("GlobalAveragePool", (_X,), 3),
    "QLinearSigmoid": _linear("Sigmoid", (_X,), 3),
    "QLinearLeakyRelu": _linear("LeakyRelu", (_X,), 3),
    "QLinearSoftmax": _linear("Softmax", (_X,), 3),
    "QLinearConcat": _concat,
}
