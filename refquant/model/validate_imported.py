"""Dtypes of the operators of docs/spec/operators.md, section 10, and of `Cast` and `Gather`.

Their operands are reals, int32 or truths (uint8), without ``quant``; `Gather` also moves codes, and
takes a table of codes as weight.
"""

from collections.abc import Sequence

from refquant.model.graph import DTYPES, Graph, Node, Quant, Value
from refquant.model.operators_imported import DTYPES_OF, dtypes
from refquant.ops.l2_normalization import LONGEST
from refquant.ops.resize import check_places

__all__ = ["check_typed", "moves_codes"]


def moves_codes(node: Node, outputs: Sequence[Value]) -> bool:
    """Say whether ``node`` computes codes by no contract: `Gather`, and sections 12 and 13."""
    own = node.op in ("ResizeLinear", "L2Normalization")
    return own or (node.op == "Gather" and outputs[0].quant is not None)


def check_typed(
    graph: Graph, node: Node, inputs: Sequence[Value | None], outputs: Sequence[Value]
) -> None:
    """Refuse a node whose operands have other dtypes than its operator takes or gives."""
    operands = [value for value in inputs if value is not None]
    if node.op == "ResizeLinear":
        _check_resize(graph, node, operands, outputs[0])
        return
    if node.op == "L2Normalization":
        _check_vectors(operands[0], outputs[0])
        return
    known = DTYPES_OF.get(node.op, (("float32",),) * len(operands))
    table = node.op == "Gather" and operands[0].quant is not None
    if table:
        _check_table(graph, node, operands[0], outputs[0])
    for index, (value, allowed) in enumerate(zip(operands, known, strict=False)):
        if (value.dtype not in allowed or value.quant is not None) and not (table and index == 0):
            raise ValueError(
                f"input {node.inputs[index]!r} is {' or '.join(allowed)} without quant, got "
                f"{value.dtype} {value.quant or ''}".rstrip()
                + "; see the operator's table"
            )
    same = {value.dtype for value, k in zip(operands, known, strict=False) if len(k) > 1}
    if len(same) > 1:
        raise ValueError(f"its inputs have one dtype, got {sorted(same)}; add a Cast")
    if moves_codes(node, outputs):
        return
    expected = dtypes(node.op, operands, _to(node))
    for output, dtype in zip(outputs, expected, strict=True):
        if output.dtype != dtype or output.quant is not None:
            raise ValueError(f"the output is {dtype} without quant, got {output.dtype}")


def _to(node: Node) -> int:
    to = node.attributes.get("to", 0)
    return to if isinstance(to, int) else 0


def _check_resize(graph: Graph, node: Node, operands: Sequence[Value], output: Value) -> None:
    """Check a `ResizeLinear`: codes that keep their meaning, places that are constants."""
    x, bits = operands[0], node.attributes["bits"]
    assert isinstance(bits, int), "check_signature: an integer"
    if x.quant is None or x.dtype not in ("int8", "uint8") or x.quant.block_shape is not None:
        raise ValueError(f"x is int8 or uint8 with quant, one scale, got {x.dtype} {x.quant}")
    if (x.dtype, x.quant) != (output.dtype, output.quant):
        raise ValueError(
            f"input and output have equal dtype and quant, got {x.dtype} {x.quant} and "
            f"{output.dtype} {output.quant}"
        )
    for name, value, length in zip(node.inputs[1:], operands[1:], x.shape[2:], strict=True):
        if name not in graph.constants or value.dtype != "int32" or value.quant is not None:
            raise ValueError(f"the places {name!r} are a plain int32 constant, got {value.dtype}")
        if not isinstance(length, int):
            raise ValueError(f"places in {length}, which only a run knows, have no bounds")
        check_places(name, graph.constants[name], length, bits)


def _check_vectors(x: Value, output: Value) -> None:
    """Check an `L2Normalization`: int8, vectors whose squares int32 holds, its own output."""
    if x.quant is None or x.dtype != "int8" or x.quant.block_shape is not None:
        raise ValueError(f"x is int8 with quant, one scale, got {x.dtype} {x.quant}")
    length = x.shape[-1] if len(x.shape) > 1 else 0
    if not isinstance(length, int) or not 1 <= length <= LONGEST:
        raise ValueError(f"x is (..., C), C from 1 to {LONGEST}, got {list(x.shape)}")
    if (output.dtype, output.quant) != ("int8", Quant(2.0**-7, 0)):
        raise ValueError(
            f"the output is int8 of scale 2^-7 and zero point 0, got {output.dtype} {output.quant}"
        )


def _check_table(graph: Graph, node: Node, table: Value, output: Value) -> None:
    """Check a `Gather` of codes: they keep their meaning, or they are a weight."""
    if output.quant is not None:
        if (table.dtype, table.quant) != (output.dtype, output.quant):
            raise ValueError(
                f"it moves codes, so input and output have equal dtype and quant, got "
                f"{table.dtype} {table.quant} and {output.dtype} {output.quant}"
            )
        if table.quant is not None and table.quant.block_shape is not None:
            raise ValueError("codes that are moved are quantized per tensor")
    elif node.inputs[0] not in graph.constants or DTYPES[table.dtype].bits > 16:
        raise ValueError(
            f"the weight {node.inputs[0]!r} beside a float32 activation is a constant of at most "
            f"16 bits, got {table.dtype}; quantize the activation, too"
        )
