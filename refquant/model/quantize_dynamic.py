"""The dynamic scheme: weights are codes in the file, activations become codes while it runs.

In front of every `Conv`, `ConvTranspose`, `Gemm` and `MatMul` with a constant weight stands a
`DynamicQuantizeLinear`, one for all readers of a value, and the product is exact in integers:
`ConvIntegerToFloat`, `MatMulIntegerToFloat` and so on (docs/spec/operators.md, section 5). The rest
stays float32, biases too. The range is each sample's own, so there is nothing to calibrate.

An `LSTM` becomes a `DynamicQuantizeLSTM`, a `GRU` a `DynamicQuantizeGRU`. They take reals and make
the codes of their input and, at every step, of their state; where a bias is computed, or one of the
weights excluded, the layer stays float32 (`refquant.model.quantize_recurrent.kept_float`).

Weights are int8 with zero point 0, per channel or per tensor. `Gemm` with ``transB`` has its
weight turned to ``(K, N)``, the one layout of `MatMulIntegerToFloat`.

Source: ONNX ``DynamicQuantizeLinear``; onnxruntime's ``quantize_dynamic`` has the same structure.
"""

from collections.abc import Mapping

import numpy as np

from refquant.contracts import Contract
from refquant.formats.affine import quantize
from refquant.model.build import Builder
from refquant.model.graph import Graph, Node, names_of
from refquant.model.quantize_recurrent import RECURRENT, add_gates, has_constant_gates
from refquant.model.quantize_weights import add_codes, add_float, weight_block, weight_qparams
from refquant.model.recipe import Weights
from refquant.model.weight_slots import slot_name

__all__ = ["quantize_dynamic"]

_GEMM_ONLY = ("alpha", "beta", "transA", "transB")


def quantize_dynamic(graph: Graph, rules: Mapping[str, Weights], *, contract: Contract) -> Builder:
    """Return ``graph`` with the nodes in ``rules`` computing on codes of each sample's range.

    >>> from refquant.contracts import preset
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> [n.op for n in quantize_dynamic(g, {"y": Weights()}, contract=preset("ort")).nodes]
    ['DynamicQuantizeLinear', 'MatMulIntegerToFloat']
    """
    b = Builder(graph.name, reserved=names_of(graph))
    for name in graph.inputs:
        b.input(name, graph.values[name].shape, dtype=graph.values[name].dtype)
    shared: dict[str, tuple[str, ...]] = {}
    for node in graph.nodes:
        if node.op in RECURRENT and _is_walked(graph, node, rules):
            _walk(b, graph, node, rules, contract)
        elif node.op not in RECURRENT and node.name in rules:
            _integer(b, graph, node, rules[node.name], contract, shared)
        else:
            inputs = [add_float(b, graph, name) if name else "" for name in node.inputs]
            b.node_with(node.op, inputs, node.outputs, name=node.name, attributes=node.attributes)
    return b


def _is_walked(graph: Graph, node: Node, rules: Mapping[str, Weights]) -> bool:
    """Say whether both weights of the layer become codes: products of codes need both."""
    both = {slot_name(node, index) for index in (1, 2)}
    return both <= rules.keys() and has_constant_gates(graph, node)


def _walk(
    b: Builder, graph: Graph, node: Node, rules: Mapping[str, Weights], contract: Contract
) -> None:
    names = add_gates(b, graph, node, rules=rules, contract=contract)
    states = [add_float(b, graph, name) if name else "" for name in node.inputs[4:]]
    operands = [add_float(b, graph, node.inputs[0]), *names, *states]
    while not operands[-1]:
        operands.pop()
    b.node_with(
        f"DynamicQuantize{node.op}",
        operands,
        node.outputs,
        name=node.name,
        attributes=node.attributes,
        contract=contract,
    )


def _integer(
    b: Builder,
    graph: Graph,
    node: Node,
    rules: Weights,
    contract: Contract,
    shared: dict[str, tuple[str, ...]],
) -> None:
    x, weight, bias = (*node.inputs, "")[:3]
    if x not in shared:
        names = [b.free(f"{x}/{part}") for part in ("codes", "scale", "zero_point")]
        source = add_float(b, graph, x)
        shared[x] = b.node_with(
            "DynamicQuantizeLinear",
            [source],
            names,
            name=b.free(f"{x}/quantize"),
            contract=contract,
        )
    w = graph.constants[weight]
    if node.attributes.get("transB", 0) == 1:
        w = np.ascontiguousarray(w.T)
    attributes = {k: v for k, v in node.attributes.items() if k not in _GEMM_ONLY}
    turned = Node(node.name, node.op, node.inputs, node.outputs, attributes)
    qparams = weight_qparams(
        w,
        rules,
        block=weight_block(turned, w.shape, rules),
        contract=contract,
        name=weight,
    )
    codes = quantize(w, qparams, contract=contract)
    operands = [shared[x][0], add_codes(b, weight, codes, qparams, suffix=node.name)]
    operands += shared[x][1:]
    if bias:
        operands.append(add_float(b, graph, bias))
    op = f"{node.op if node.op.startswith('Conv') else 'MatMul'}IntegerToFloat"
    b.node_with(
        op, operands, node.outputs, name=node.name, attributes=attributes, contract=contract
    )
