"""What a node may do with its operands: shapes, dtypes, quantization, contract.

docs/spec/operators.md has four ways to compute, and the operands say which one a node is in:

* **plain**: everything float32 (section 1), or the dynamic operators (section 5);
* **weight only**: float32 activations, a weight of codes (section 1);
* **integer**: codes in, codes out, by a contract (section 4): `validate_integer`;
* **movement**: the same codes, elsewhere (section 6).

Anything between these, one operand quantized and another not, means nothing.
"""

from collections.abc import Callable, Mapping, Sequence

from refquant.model.graph import DTYPES, Graph, Node, Value
from refquant.model.operators import DYNAMIC, MOVEMENT, UNARY, WEIGHTS, check_signature
from refquant.model.operators_hybrid import HYBRID, check_hybrid
from refquant.model.operators_imported import DTYPES_OF, IMPORTED
from refquant.model.shapes import infer_shapes
from refquant.model.validate_dynamic import check_dynamic
from refquant.model.validate_imported import check_typed, moves_codes
from refquant.model.validate_integer import INTEGER, check_integer
from refquant.model.validate_simulated import check_fake_quantize, needs_contract

__all__ = ["check_node"]

Operands = Sequence[Value | None]

# Operands that are plain int32 instead of float32: positions.
_INT32: Mapping[str, int] = {"RotaryEmbedding": 3}


def check_node(graph: Graph, node: Node) -> None:
    """Refuse a node that its operator does not define; the values were checked before."""
    check_signature(node)
    inputs = [graph.values[name] if name else None for name in node.inputs]
    outputs = [graph.values[name] for name in node.outputs]
    _check_shapes(node, inputs, outputs)
    _check_contract(graph, node, [*inputs, *outputs], moved=moves_codes(node, outputs))
    if outputs[0].quant is None:
        for name in ("clamp_min", "clamp_max"):
            if name in node.attributes:
                raise ValueError(f"attribute {name} is for a quantized output; remove it")
    if node.op in HYBRID:
        check_hybrid(graph, node)
    elif node.op in DYNAMIC:
        check_dynamic(graph, node)
    elif node.op in MOVEMENT:
        _check_movement(node, inputs, outputs[0])
    elif node.op in _DOORS:
        _DOORS[node.op](inputs, outputs)
    elif node.op in INTEGER and outputs[0].quant is not None:
        check_integer(graph, node)
    elif node.op in DTYPES_OF or (node.op in IMPORTED and node.op not in WEIGHTS):
        check_typed(graph, node, inputs, outputs)
    else:
        _check_plain(graph, node, inputs, outputs)


def _check_shapes(node: Node, inputs: Operands, outputs: Sequence[Value]) -> None:
    shapes = [None if value is None else value.shape for value in inputs]
    for name, value, shape in zip(
        node.outputs, outputs, infer_shapes(node.op, shapes, node.attributes), strict=True
    ):
        if value.shape != shape:
            raise ValueError(
                f"output {name!r} has shape {list(shape)}, declared {list(value.shape)}; "
                "correct the declaration"
            )


def _check_contract(graph: Graph, node: Node, values: Operands, *, moved: bool) -> None:
    quantized = any(value is not None and value.quant is not None for value in values)
    arithmetic = quantized and node.op not in MOVEMENT and not moved
    needed = node.op in DYNAMIC or arithmetic or needs_contract(node)
    if needed and node.contract is None:
        raise ValueError("a node with integer arithmetic names its contract; add contract")
    if not needed and node.contract is not None:
        raise ValueError(f"it computes by no contract, got {node.contract!r}; remove it")
    if node.contract is not None and node.contract not in graph.contracts:
        raise ValueError(f"contract {node.contract!r} is not in contracts; add it")


def _check_movement(node: Node, inputs: Operands, output: Value) -> None:
    for name, value in zip(node.inputs, inputs, strict=True):
        assert value is not None, "check_signature: movement has no optional input"
        if (value.dtype, value.quant) != (output.dtype, output.quant):
            raise ValueError(
                f"it moves codes, so input {name!r} and the output have equal dtype and quant, "
                f"got {value.dtype} {value.quant} and {output.dtype} {output.quant}"
            )
    if output.quant is not None and node.op in ("MaxPool", "GlobalMaxPool"):
        scale = output.quant.scale
        if not isinstance(scale, str) and scale < 0:
            raise ValueError(f"with scale {scale} < 0 the largest code is not the largest real")
    if node.op == "Pad" and output.dtype != "float32":
        if output.quant is None:
            raise ValueError(f"a plain {output.dtype} has no code for 0; pad it before")
        if node.attributes.get("value", 0) != 0:
            raise ValueError(
                f"codes are padded with the zero point: value is 0, got {node.attributes['value']}"
            )


def _check_quantize(inputs: Operands, outputs: Sequence[Value]) -> None:
    _need_plain("the input", inputs[0])
    if outputs[0].quant is None or DTYPES[outputs[0].dtype].bits > 16:
        raise ValueError(
            f"the output has quant and 8 or 16 bits, got {outputs[0].dtype} {outputs[0].quant}"
        )


def _check_dequantize(inputs: Operands, outputs: Sequence[Value]) -> None:
    if inputs[0] is None or inputs[0].quant is None:
        raise ValueError("the input has quant: without it the codes mean nothing; add it")
    _need_plain("the output", outputs[0])


_DOORS: Mapping[str, Callable[[Operands, Sequence[Value]], None]] = {
    "QuantizeLinear": _check_quantize,
    "DequantizeLinear": _check_dequantize,
}


def _check_plain(graph: Graph, node: Node, inputs: Operands, outputs: Sequence[Value]) -> None:
    """Check a node of float32 arithmetic, its weight perhaps of codes."""
    if node.op == "Requantize" or (node.op in (*UNARY, "Softmax") and len(inputs) == 2):
        raise ValueError("a table maps codes to codes: input and output have quant")
    if node.op == "MatMul" and len(inputs) == 3:
        raise ValueError("a float32 MatMul has two inputs; add the bias with Add")
    for index, (name, value) in enumerate(zip(node.inputs, inputs, strict=True)):
        if value is None:
            continue
        if index in WEIGHTS.get(node.op, ()) and value.quant is not None:
            if name not in graph.constants or DTYPES[value.dtype].bits > 16:
                raise ValueError(
                    f"the weight {name!r} beside a float32 activation is a constant of at most "
                    f"16 bits, got {value.dtype}; quantize the activation, too"
                )
            continue
        dtype = "int32" if _INT32.get(node.op) == index else "float32"
        _need_plain(f"input {name!r}", value, dtype)
    for output in outputs:
        _need_plain("the output", output)
    if node.op == "FakeQuantize":
        check_fake_quantize(graph, node)
    if node.op == "Hadamard":
        _check_signs(graph, node)


def _check_signs(graph: Graph, node: Node) -> None:
    """Check that the second input of a `Hadamard`, if there is one, is a constant of signs."""
    name = (*node.inputs, "")[1]
    if name and (name not in graph.constants or not (abs(graph.constants[name]) == 1).all()):
        raise ValueError(f"the signs {name!r} are a constant of +1 and -1; make them one")


def _need_plain(what: str, value: Value | None, dtype: str = "float32") -> None:
    if value is None or value.dtype != dtype or value.quant is not None:
        got = "nothing" if value is None else f"{value.dtype} {value.quant or ''}".rstrip()
        raise ValueError(f"{what} is {dtype} without quant, got {got}; see the operator's table")
