"""Comparisons, connectives, choices, and casts: what gives or takes truths.

ONNX's ``BOOL`` is ``uint8`` here, 0 or 1; a ``UINT8`` beside codes is a number.
"""

from collections.abc import Callable, Mapping

from refquant.model.importers.onnx_model import OnnxNode
from refquant.model.importers.onnx_scope import Known, Scope, Seen, Unsupported
from refquant.model.importers.onnx_tensor import dtype_of

__all__ = ["LOGIC"]

Lower = Callable[[Scope, OnnxNode], None]


def _typed(s: Scope, node: OnnxNode, first: int) -> tuple[list[str], str]:
    """Return the operands from ``first`` on, of one dtype of float32, int32, uint8."""
    names = node.inputs[first:]
    seen = [n for n in names if not isinstance(s.item(n), Known)] or list(names)
    dtype = s.dtype(seen[0])
    if dtype not in ("float32", "int32", "int64", "bool", "uint8"):
        raise Unsupported(f"inputs are {dtype}; there are float32, int32, int64, bool and uint8")
    return [s.value_of(name, like=dtype) for name in names], dtype


def _compare(s: Scope, node: OnnxNode) -> None:
    operands, _ = _typed(s, node, 0)
    s.emit(node, node.op, operands, dtype="bool")


def _xor(s: Scope, node: OnnxNode) -> None:
    """Not(Equal(a, b)): truths that were computed are 0 or 1."""
    operands, _ = _typed(s, node, 0)
    s.emit(node, "Not", [s.step(node, "Equal", operands)], dtype="bool")


def _is_nan(s: Scope, node: OnnxNode) -> None:
    """Not(Equal(x, x))."""
    x = s.real(node, 0)
    s.emit(node, "Not", [s.step(node, "Equal", [x, x])], dtype="bool")


def _where(s: Scope, node: OnnxNode) -> None:
    condition = s.value(node, 0)
    operands, dtype = _typed(s, node, 1)
    s.emit(node, "Where", [condition, *operands], dtype=dtype)


def _cast(s: Scope, node: OnnxNode) -> None:
    to, source = dtype_of(node.attributes["to"]), s.dtype(node.inputs[0])
    if to == source or {to, source} == {"int32", "int64"}:
        s.alias(node, node.inputs[0])
        return
    if (source, to) == ("bool", "uint8"):  # truths are 0 and 1 here
        s.items[node.outputs[0]] = Seen(s.value(node, 0), "uint8")
        return
    codes = {"float32": 1, "int32": 6, "int64": 6, "bool": 9}
    if to not in codes or source not in (*codes, "uint8"):
        raise Unsupported(f"Cast from {source} to {to}")
    s.emit(node, "Cast", [s.value(node, 0)], {"to": codes[to]}, dtype=to)


def _not(s: Scope, node: OnnxNode) -> None:
    s.emit(node, "Not", [s.value(node, 0)], dtype="bool")


LOGIC: Mapping[str, Lower] = {
    **dict.fromkeys(
        ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual", "And", "Or"), _compare
    ),
    "Xor": _xor,
    "Not": _not,
    "IsNaN": _is_nan,
    "Where": _where,
    "Cast": _cast,
}
