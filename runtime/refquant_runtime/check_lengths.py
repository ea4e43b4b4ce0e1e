"""Where the length of a sequence, ``T``, may not stand: ``docs/spec/rq-format.md``, section 3.

An operator may sum along ``T``; where it needs a number when the file is read, it is refused.
"""

from refquant_runtime.graph import Node, Value
from refquant_runtime.rules import need
from refquant_runtime.shapes_sequence import GATES

__all__ = ["check_lengths"]

_WINDOWS = ("Conv", "ConvInteger", "ConvIntegerToFloat", "ConvDynamicRange", "ConvTranspose",
            "ConvTransposeIntegerToFloat",
            "MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "Flatten")  # fmt: skip
_PRODUCTS = ("MatMul", "MatMulInteger", "MatMulIntegerToFloat", "MatMulDynamicRange", "Gemm")


def check_lengths(node: Node, inputs: list[Value | None], outputs: list[Value]) -> None:
    """Refuse a node that needs a number where one of its operands has a ``T``."""
    x = inputs[0]
    assert x is not None, "check: required"
    for value in inputs:
        if value is not None and value.lengths:
            mask = node.op == "Attention" and value.name in node.inputs[3:]
            fixed = set() if mask else _fixed(node, value, value is x)
            rule = f"{value.name!r}: 'T' is a number in a run only"
            need(not fixed.intersection(value.lengths), rule)
    if node.op in _PRODUCTS and outputs[0].dtype != "float32":
        long = len(x.shape) - 1 in x.lengths
        need(not long, "a sum along 'T' has any length: int32 may overflow")


def _fixed(node: Node, value: Value, first: bool) -> set[int]:
    """Return the axes of an operand that need a number."""
    rank, op, attributes = len(value.shape), node.op, node.attributes
    if op in _WINDOWS:
        start = 2 if first and op in ("MaxPool", "AveragePool") else 1 if first else 0
        start = 2 if op.startswith("Global") else start
        return set(range(start, rank))
    if op == "Slice":
        return {axis % rank for axis in attributes["axes"]}
    if op == "Concat" or (op in ("TopK", "Gather") and first):
        return {attributes.get("axis", -1 if op == "TopK" else 0) % rank}
    if op in ("LayerNormalization", "RMSNormalization"):
        return {rank - 1}
    if op in ("Attention", "RotaryEmbedding") and rank > 2:
        return {1, 3} if rank == 4 else {2}
    if op in GATES:
        return {2} if first else set(range(rank))
    return set(range(rank)) if op == "Gemm" and not first else set()
