"""Operators that give codes of the type of their first input: what onnxruntime's kernels do.

A `Graph` may have uint8 codes go in and int8 codes come out. The distance of a code from the lowest
is the same in both types, and so is that of the zero point:

::

    uint8   q + 128, zero point z + 128, the same scale   <->   int8   q, zero point z

so what has another type is moved by 128, in int32, before or behind the operator.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from refquant.model.exporters.onnx_codes import meaning
from refquant.model.exporters.onnx_draft import MICROSOFT, Draft, NoForm
from refquant.model.graph import DTYPES, Node

__all__ = ["add_kernel", "first_type", "operand", "weight"]

_INT32, _CODES = 6, {"int8": 3, "uint8": 2}


def operand(d: Draft, name: str, dtype: str) -> list[str]:
    """Return codes, scale and zero point of an input, its codes moved to ``dtype``."""
    if name in d.graph.constants:
        codes = d.own(name, _wide(d, name))
        own = d.constants[name].dtype
    else:
        codes, own = name, d.graph.values[name].dtype
    if own == dtype or d.graph.values[name].quant is None:
        return [codes, *meaning(d, name, own)]
    return [_moved(d, codes, own, dtype, f"{name}/{dtype}"), *_meaning_as(d, name, own, dtype)]


def weight(d: Draft, name: str) -> list[str]:
    """Return codes, scale and zero point of a weight, one or one a channel."""
    if name not in d.graph.constants:
        return operand(d, name, d.graph.values[name].dtype)
    dtype = _wide(d, name)
    return [d.own(name, dtype), *meaning(d, name, dtype)]


def _wide(d: Draft, name: str) -> str:
    return "uint8" if d.graph.values[name].dtype.startswith("u") else "int8"


def first_type(d: Draft, node: Node) -> str:
    """Return the type of the first input: onnxruntime's kernels have one for all activations.

    Beside unsigned weights it is unsigned, too.
    """
    dtype = d.graph.values[node.inputs[0]].dtype
    if node.op in ("Conv", "Gemm", "MatMul") and _wide(d, node.inputs[1]) == "uint8":
        dtype = "uint8"
    for name in (node.inputs[0], node.outputs[0]):
        if DTYPES[d.graph.values[name].dtype].bits != 8:
            raise NoForm("operators on codes have 8 bits; say qdq")
    return dtype


def _meaning_as(d: Draft, name: str, own: str, dtype: str) -> list[str]:
    scale, _ = meaning(d, name, own)
    quant = d.graph.values[name].quant
    assert quant is not None, "the caller has codes"
    if not isinstance(quant.zero_point, int):
        raise NoForm(f"{name!r} has zero points a channel")
    moved = quant.zero_point + DTYPES[dtype].qmin - DTYPES[own].qmin
    return [scale, d.number(f"{name}/zero_point/{dtype}", moved, dtype)]


def _moved(d: Draft, codes: str, own: str, dtype: str, name: str, output: str = "") -> str:
    """Return codes of one 8-bit type in the other: the same distance from the lowest."""
    step = d.number(f"to_{dtype}", DTYPES[dtype].qmin - DTYPES[own].qmin, "int32")
    wide = d.step("Cast", [codes], f"{name}/int32", {"to": _INT32})
    wide = d.step("Add", [wide, step], f"{name}/moved")
    return d.add("Cast", [wide], output or d.free(name), {"to": _CODES[dtype]})


def add_kernel(
    d: Draft,
    node: Node,
    target: str,
    op: str,
    inputs: list[str],
    more: Sequence[str] = (),
    attributes: Mapping[str, Any] | None = None,
    domain: str = MICROSOFT,
) -> None:
    """Add an operator that gives codes of the type of its first input, and move them to ours."""
    x, (y,) = first_type(d, node), node.outputs
    own = d.graph.values[y].dtype
    if own == x:
        d.add(op, [*inputs, *meaning(d, y), *more], target, attributes, domain=domain)
        return
    made = d.free(f"{y}/{x}")
    d.add(op, [*inputs, *_meaning_as(d, y, own, x), *more], made, attributes, domain=domain)
    _moved(d, made, x, own, f"{y}/{own}", target)
