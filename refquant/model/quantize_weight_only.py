"""The weight-only scheme: weights travel as codes and are read as reals; all arithmetic is float32.

What it saves is memory and bandwidth. A weight is dequantized, ``w = f32(f32(code - zero_point) *
scale)``, and then computed with as ever (docs/spec/operators.md, section 1), so that a group may
run along the sum. Nothing is calibrated.

Source: Frantar et al., "GPTQ", arXiv:2210.17323, section 1 (why weights only).
"""

from collections.abc import Mapping

from refquant.contracts import Contract
from refquant.formats.affine import quantize
from refquant.model.build import Builder
from refquant.model.graph import Graph, Node, names_of
from refquant.model.quantize_weights import add_codes, add_float, weight_block, weight_qparams
from refquant.model.recipe_rules import Weights

__all__ = ["quantize_weight_only"]


def quantize_weight_only(
    graph: Graph, rules: Mapping[str, Weights], *, contract: Contract
) -> Builder:
    """Return ``graph`` with the weights of the nodes in ``rules`` as codes; all else is float32.

    >>> import numpy as np
    >>> from refquant.contracts import preset
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> quantize_weight_only(g, {"y": Weights(bits=4)}, contract=preset("ort")).values["w"].dtype
    'int4'
    """
    b = Builder(graph.name, reserved=names_of(graph))
    for name in graph.inputs:
        b.input(name, graph.values[name].shape)
    for node in graph.nodes:
        coded = node.name in rules
        inputs = [
            _weight(b, graph, node, rules[node.name], contract)
            if coded and i == 1
            else add_float(b, graph, name)
            for i, name in enumerate(node.inputs)
        ]
        b.node_with(
            node.op,
            inputs,
            node.outputs,
            name=node.name,
            attributes=node.attributes,
            contract=contract if coded else None,
        )
    return b


def _weight(b: Builder, graph: Graph, node: Node, rules: Weights, contract: Contract) -> str:
    name = node.inputs[1]
    w = graph.constants[name]
    block = weight_block(node, w.shape, rules)
    qparams = weight_qparams(w, rules, block=block, contract=contract, name=name)
    codes = quantize(w, qparams, contract=contract)
    return add_codes(b, name, codes, qparams, suffix=node.name)
