"""GRU and LSTM on codes: the operands of the integer node, or why there is none.

Both weights become codes with zero point 0, a scale a row or one for all of them; the bias stays
float32, and so do the states that the layer begins with. What x and h are multiplied with is the
weight alone, so a scale is its own range's business: no bias has to fit into an accumulator
(`refquant.model.quantize_product`, eq. (2)).

Products of codes need both weights, and a bias that is there before the run: a layer that has not
stays float32, and the card says which and why (`kept_float`).

Source: docs/spec/operators.md, sections 4 and 5; docs/decisions/023-static-recurrent.md and
025-dynamic-recurrent.md.
"""

from collections.abc import Collection, Mapping

from refquant.contracts import Contract
from refquant.formats.affine import quantize
from refquant.model.build import Builder
from refquant.model.graph import Graph, Node
from refquant.model.quantize_weights import add_codes, add_float, weight_block, weight_qparams
from refquant.model.recipe import Weights
from refquant.model.weight_slots import slot_name

__all__ = ["RECURRENT", "add_gates", "has_constant_gates", "kept_float"]

RECURRENT = ("GRU", "LSTM")
"""The operators that compute with codes and keep reals; weights are the second and third input."""


def has_constant_gates(graph: Graph, node: Node) -> bool:
    """Say whether ``node`` is a `GRU` or `LSTM` whose weights, and bias if any, are constants.

    >>> relu = Node("n", "Relu", ("x",), ("y",))
    >>> has_constant_gates(Graph("g", (), (), {}, (), {}, {}, {}), relu)
    False
    """
    if node.op not in RECURRENT:
        return False
    return all(name in graph.constants or not name for name in node.inputs[1:4])


def kept_float(graph: Graph, rules: Collection[str], excluded: Collection[str]) -> dict[str, str]:
    """Return why a scheme of codes leaves recurrent layers in float32, by the names of their nodes.

    ``rules``: the slots whose weights become codes; ``excluded``: the nodes that the recipe leaves.

    >>> x = Node("walk", "GRU", ("x", "w", "r"), ("y", "h"))
    >>> kept_float(Graph("g", (), (), {}, (x,), {}, {}, {}), (), ())
    {'walk': "GRU: 'w' is computed"}
    """
    kept = {}
    for node in graph.nodes:
        if node.op not in RECURRENT:
            continue
        computed = [name for name in node.inputs[1:4] if name and name not in graph.constants]
        left = [node.inputs[i] for i in (1, 2) if slot_name(node, i) not in rules]
        if computed:
            reason = f"{computed[0]!r} is computed"
        elif len(left) == 1:
            reason = f"products of codes need both weights, and {left[0]!r} is excluded"
        elif left or node.name in excluded:
            reason = "excluded"
        else:
            continue
        kept[node.name] = f"{node.op}: {reason}"
    return kept


def add_gates(
    b: Builder, graph: Graph, node: Node, *, rules: Mapping[str, Weights], contract: Contract
) -> list[str]:
    """Add weights as codes and the bias of ``node`` to ``b``; return the names of the three.

    ``rules`` by the names of slots. `ValueError` for rules that the integer form has not.

    >>> import numpy as np
    >>> from refquant.contracts import preset
    >>> g = Builder("g")
    >>> w, r = (g.constant(name, np.ones((1, 3, 1), np.float32)) for name in "wr")
    >>> x = g.input("x", ("N", 1, 1))
    >>> _ = g.node_with("GRU", [x, w, r], ["y", "h"], name="walk",
    ...                 attributes={"hidden_size": 1, "layout": 1})
    >>> g, b = g.graph(["y"]), Builder("h")
    >>> rules = {"walk": Weights(), "walk[2]": Weights()}
    >>> add_gates(b, g, g.nodes[0], rules=rules, contract=preset("ort"))
    ['w', 'r', '']
    >>> b.constants["w"].ravel().tolist()
    [127, 127, 127]
    """
    names = []
    for index in (1, 2):
        name, own = node.inputs[index], rules[slot_name(node, index)]
        if not own.symmetric or own.granularity == "group" or own.bits > 8:
            raise ValueError(
                f"node {node.name!r}, weight {name!r}: a {node.op} on codes has symmetric weights "
                f"of at most 8 bits, per tensor or per channel, got {own.bits} bits "
                f"{own.granularity}{'' if own.symmetric else ', asymmetric'}; override its weights "
                "so, or exclude the node"
            )
        w = graph.constants[name]
        block = weight_block(node, w.shape, own)
        qparams = weight_qparams(w, own, block=block, contract=contract, name=name)
        codes = quantize(w, qparams, contract=contract)
        names.append(add_codes(b, name, codes, qparams, suffix=f"{node.name}/{index}"))
    bias = (*node.inputs, "")[3]
    return [*names, add_float(b, graph, bias) if bias else ""]
