"""Elementwise operators: what ONNX has of them, as those that docs/spec/operators.md has.

What there is not, is written with what there is; the equation stands beside each.
"""

from collections.abc import Callable, Mapping

import numpy as np

from refquant.model.graph import Attribute
from refquant.model.importers.onnx_codes import number_of
from refquant.model.importers.onnx_items import Filled, Spread
from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Known, Scope, Seen, Unsupported
from refquant.model.shapes_common import joined

__all__ = ["ELEMENTWISE"]

Lower = Callable[[Scope, OnnxNode], None]

# ONNX's defaults where ours are others, or the attribute is absent in the file.
_UNARY: Mapping[str, Mapping[str, float]] = {
    **{op: {} for op in ("Abs", "Erf", "Exp", "HardSwish", "Log", "Neg", "Relu", "Sigmoid")},
    **{op: {} for op in ("Softplus", "Sqrt", "Tanh", "Floor", "Ceil", "Round", "Sign")},
    "Elu": {"alpha": 1.0},
    "HardSigmoid": {"alpha": 0.2, "beta": 0.5},
    "LeakyRelu": {"alpha": 0.01},
}


def _unary(s: Scope, node: OnnxNode) -> None:
    given = {k: node.attributes.get(k, v) for k, v in _UNARY[node.op].items()}
    s.emit(node, node.op, [s.real(node, 0)], given)


def _gelu(s: Scope, node: OnnxNode) -> None:
    tanh = node.attributes.get("approximate", "none") == "tanh"
    given: dict[str, Attribute] = {"approximate": "tanh"} if tanh else {}
    s.emit(node, "Gelu", [s.real(node, 0)], given)


def _swish(s: Scope, node: OnnxNode) -> None:
    """X * Sigmoid(alpha x)."""
    x, alpha = s.real(node, 0), node.attributes.get("alpha", 1.0)
    if alpha == 1.0:
        s.emit(node, "Swish", [x])
        return
    inner = s.step(node, "Mul", [x, s.scalar(node, alpha)])
    s.emit(node, "Mul", [x, s.step(node, "Sigmoid", [inner])])


def _binary(s: Scope, node: OnnxNode) -> None:
    if node.op == "Add" and (spread := _spread(s, node)) is not None:
        s.items[node.outputs[0]] = spread
        return
    s.emit(node, node.op, [s.real(node, 0), s.real(node, 1)])


def _spread(s: Scope, node: OnnxNode) -> Spread | None:
    """Return what x + 0 is, the zeros as many as only a run knows: how exporters widen a mask."""
    for zeros, x in ((1, 0), (0, 1)):
        item = s.items[node.inputs[zeros]]
        if isinstance(item, Filled) and item.number == 0 and item.dtype == "float32":
            shape = joined("Add", item.shape, s.shape(node.inputs[x]))
            return Spread(s.real(node, x), "float32", shape)
    return None


def _chain(op: str) -> Lower:
    """Any number of operands: two at a time, from the first."""

    def lower(s: Scope, node: OnnxNode) -> None:
        if len(node.inputs) == 1:  # of codes, too: that is how exporters keep a pair apart
            s.alias(node, node.inputs[0])
            return
        operands = s.reals(node)
        total = operands[0]
        for operand in operands[1:-1]:
            total = s.step(node, op, [total, operand])
        s.emit(node, op, [total, operands[-1]])

    return lower


def _mean(s: Scope, node: OnnxNode) -> None:
    operands = s.reals(node)
    total = operands[0]
    for operand in operands[1:]:
        total = s.step(node, "Add", [total, operand])
    s.emit(node, "Div", [total, s.scalar(node, len(operands))])


def _reciprocal(s: Scope, node: OnnxNode) -> None:
    s.emit(node, "Div", [s.scalar(node, 1.0), s.real(node, 0)])


def _bound(s: Scope, node: OnnxNode, index: int, key: str) -> float | str | None:
    """Return the bound as a number, as a value that only a run knows, or None."""
    if key in node.attributes:
        return float(node.attributes[key])
    if not s.has(node, index):
        return None
    item = s.item(node.inputs[index])
    if isinstance(item, Known):
        return float(number_of(item.array, f"the bound {key!r}"))
    return s.real(node, index)


def _clip_codes(s: Scope, node: OnnxNode, x: str) -> None:
    """Clamp codes that have a meaning: a bound behind a pair, as our exporter writes it."""
    value, given = s.b.values[x], dict[str, Attribute]()
    for key, index in (("clamp_min", 1), ("clamp_max", 2)):
        bound = s.known(node, index, key)
        if bound is not None:
            given[key] = int(bound.ravel()[0])
    made = s.node("Clip", [x], node.outputs[0], given, contract=s.contract, dtype=value.dtype,
                  quant=value.quant)  # fmt: skip
    s.items[node.outputs[0]] = Seen(made, value.dtype)


def _clip(s: Scope, node: OnnxNode) -> None:
    item = s.items[node.inputs[0]]
    if isinstance(item, Seen) and s.b.values[item.value].quant is not None:
        _clip_codes(s, node, item.value)
        return
    low, high = _bound(s, node, 1, "min"), _bound(s, node, 2, "max")
    x = s.real(node, 0)
    if isinstance(low, str) or isinstance(high, str):  # ONNX: Min(max, Max(x, min))
        below, above = (
            b if isinstance(b, str) or b is None else s.scalar(node, b) for b in (low, high)
        )
        x = x if below is None else s.step(node, "Max", [x, below])
        s.emit(node, "Identity" if above is None else "Min", [x] if above is None else [x, above])
        return
    bounds = {"min": low, "max": high}
    largest = float(np.finfo(np.float32).max)
    given: dict[str, Attribute] = {}
    for (key, bound), wrong in zip(bounds.items(), (float("inf"), -float("inf")), strict=True):
        if bound is not None and (bound == wrong or bound != bound):
            raise Unsupported(f"{key} is {bound}: no number is left")
        if bound is None or abs(bound) == float("inf") or abs(bound) >= largest:
            continue  # no bound for what is finite
        given[key] = bound
    if low is not None and high is not None and low > high:
        given = {"min": high, "max": high}
    s.emit(node, "Clip", [x], given)


def _pow(s: Scope, node: OnnxNode) -> None:
    """x^2 = x x, and so on; only for exponents that products, roots and quotients make."""
    item = s.item(node.inputs[1])
    x = s.real(node, 0)
    exponent = item.array.ravel() if isinstance(item, Known) and item.array.size == 1 else None
    if exponent is None:
        raise Unsupported("the exponent (input 1) must be one constant")
    y = float(exponent[0])
    if y in (1.0, 2.0, 3.0, 4.0):
        if y == 1.0:
            s.emit(node, "Identity", [x])
        elif y == 2.0:
            s.emit(node, "Mul", [x, x])
        else:
            square = s.step(node, "Mul", [x, x])
            s.emit(node, "Mul", [square, x if y == 3.0 else square])
    elif y == 0.5:
        s.emit(node, "Sqrt", [x])
    elif y in (-0.5, -1.0):
        root = x if y == -1.0 else s.step(node, "Sqrt", [x])
        s.emit(node, "Div", [s.scalar(node, 1.0), root])
    else:
        raise Unsupported(f"the exponent is one of -1, -0.5, 0.5, 1, 2, 3, 4, got {y}")


def _prelu(s: Scope, node: OnnxNode) -> None:
    """Where(x < 0, slope x, x)."""
    x, slope = s.real(node, 0), s.real(node, 1)
    negative = s.step(node, "Less", [x, s.scalar(node, 0.0)])
    s.emit(node, "Where", [negative, s.step(node, "Mul", [x, slope]), x])


def _identity(s: Scope, node: OnnxNode) -> None:
    if node.op == "Dropout":
        training = s.known(node, 2, "training_mode")
        if training is not None and training.any():
            raise Unsupported("Dropout in training mode")
        for name in node.outputs[1:]:  # the mask: nothing is dropped
            shape = s.shape(node.inputs[0])
            sizes = [d for d in shape if isinstance(d, int)]
            all_known = len(sizes) == len(shape)
            kept = Known(np.ones(sizes, bool), "bool") if all_known else Filled(1, "bool", shape)
            s.items[name] = kept
    s.alias(node, node.inputs[0])


def _softsign(s: Scope, node: OnnxNode) -> None:
    """X / (1 + |x|)."""
    x = s.real(node, 0)
    s.emit(node, "Div", [x, s.step(node, "Add", [s.step(node, "Abs", [x]), s.scalar(node, 1.0)])])


def _mish(s: Scope, node: OnnxNode) -> None:
    """X Tanh(Softplus(x))."""
    x = s.real(node, 0)
    s.emit(node, "Mul", [x, s.step(node, "Tanh", [s.step(node, "Softplus", [x])])])


def _thresholded(s: Scope, node: OnnxNode) -> None:
    """Where(x > alpha, x, 0)."""
    x, alpha = s.real(node, 0), node.attributes.get("alpha", 1.0)
    above = s.step(node, "Greater", [x, s.scalar(node, alpha)])
    s.emit(node, "Where", [above, x, s.scalar(node, 0.0)])


ELEMENTWISE: Mapping[str, Lower] = {
    **dict.fromkeys(_UNARY, _unary),
    **dict.fromkeys(("Add", "Sub", "Mul", "Div"), _binary),
    "Gelu": _gelu,
    "Swish": _swish,
    "Max": _chain("Max"),
    "Min": _chain("Min"),
    "Sum": _chain("Add"),
    "Mean": _mean,
    "Reciprocal": _reciprocal,
    "Clip": _clip,
    "Pow": _pow,
    "PRelu": _prelu,
    "Identity": _identity,
    "Dropout": _identity,
    "Softsign": _softsign,
    "Mish": _mish,
    "ThresholdedRelu": _thresholded,
}
