"""The weight-only scheme: weights travel as codes and are read as reals; all arithmetic is float32.

What it saves is memory and bandwidth. A weight is decoded, ``w = f32(f32(code - zero_point) *
scale)`` or by a table (`refquant.model.reals`), and then computed with as ever
(docs/spec/operators.md, section 1), so that a group may run along the sum. Which codes: that is
`refquant.model.layer_by_layer`'s business; here they take the place of the constants.

Source: Frantar et al., "GPTQ", arXiv:2210.17323, section 1 (why weights only).
"""

from collections.abc import Mapping

from refquant.contracts import Contract
from refquant.model.build import Builder
from refquant.model.coded import Coded, add_coded
from refquant.model.graph import Graph, names_of
from refquant.model.quantize_layer import round_layer
from refquant.model.quantize_weights import add_float
from refquant.model.recipe_rules import Weights
from refquant.model.weight_slots import slot_name, slots, weight_slots

__all__ = ["assemble", "quantize_weight_only"]


def quantize_weight_only(
    graph: Graph, rules: Mapping[str, Weights], *, contract: Contract
) -> Builder:
    """Return ``graph`` with the weights of the nodes in ``rules`` rounded; all else is float32.

    `ValueError` for an algorithm other than ``rtn``: `refquant.model.quantize` has the others.

    >>> import numpy as np
    >>> from refquant.contracts import preset
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> quantize_weight_only(g, {"y": Weights(bits=4)}, contract=preset("ort")).values["w"].dtype
    'int4'
    """
    coded: dict[str, Coded] = {}
    for node, index, slot in weight_slots(graph):
        if slot in rules:
            own, name = rules[slot], node.inputs[index]
            if own.algorithm != "rtn":
                raise ValueError(
                    f"node {node.name!r}: weights.algorithm must be 'rtn' here, got "
                    f"{own.algorithm!r}; refquant.model.quantize does the others"
                )
            w = graph.constants[name]
            coded[slot] = round_layer(node, w, own, contract=contract, name=name)
    return assemble(graph, coded, contract=contract)


def assemble(graph: Graph, coded: Mapping[str, Coded], *, contract: Contract) -> Builder:
    """Return ``graph`` with the weights in ``coded``, by slot, as codes; all else is float32.

    >>> import numpy as np
    >>> from refquant.contracts import preset
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> codes = Coded("int4", np.int8([[1, 0], [0, 1]]), np.float32(1), np.int32(0), None, None)
    >>> assemble(g, {"y": codes}, contract=preset("ort")).values["w"].dtype
    'int4'
    """
    b = Builder(graph.name, reserved=names_of(graph))
    for name in graph.inputs:
        value = graph.values[name]
        b.input(name, value.shape, dtype=value.dtype)
    for node in graph.nodes:
        own = {i: coded[n] for i in slots(graph, node) if (n := slot_name(node, i)) in coded}
        inputs = [
            add_coded(b, name, own[i], suffix=slot_name(node, i))
            if i in own
            else add_float(b, graph, name)
            for i, name in enumerate(node.inputs)
        ]
        b.node_with(
            node.op,
            inputs,
            node.outputs,
            name=node.name,
            attributes=node.attributes,
            contract=contract if own else None,
        )
    return b
