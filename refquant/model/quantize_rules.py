"""Which rules a weight has: the recipe's, what overrides say, and what some weights need.

Overrides are looked at after folding, when nodes have the names that the file will show. The last
one that fits has its way; one that fits none is a mistake, and refused. ::

    depthwise weights      8 bits per channel, rounded to nearest, unless an override says otherwise
    of `ConvTranspose`     the same where the recipe has an algorithm other than rounding
                           (`refquant.model.quantize_weights` says why)
    tables of `Gather`     8 bits a row, rounded to nearest, where the recipe has fewer, unless an
                           override says bits or a format
    R of GRU and LSTM      what the recipe says, but from the weights alone

A table is looked up, not multiplied: no sum lets its errors average out or cancel, the row *is*
what all layers read, and it is read a row at a time, so that 8 bits cost no bandwidth. (llama.cpp
keeps it in more bits than its 4-bit layers, too.) There is nothing for an algorithm to fit to: its
data would be how often each token occurs. And R is multiplied with states that the layer makes
inside itself, where no calibration looks.

Schemes that compute on codes have no use for codes of a table: there it stays float32.

References
----------
llama.cpp ``src/llama-quant.cpp`` (``token_embd`` of the k-quant mixtures).
"""

from collections.abc import Collection, Sequence
from fnmatch import fnmatchcase

from refquant.model.graph import Graph, Node
from refquant.model.operators import WEIGHTS
from refquant.model.quantize_recurrent import RECURRENT
from refquant.model.quantize_weights import WEIGHTED, is_depthwise
from refquant.model.recipe import Override, Recipe, Weights
from refquant.model.recipe_rules import without_data
from refquant.model.weight_slots import check_slot_names, slot_name, slots

__all__ = ["rules_of"]


def rules_of(graph: Graph, recipe: Recipe) -> tuple[set[str], dict[str, Weights]]:
    """Return the names of excluded nodes, and the rules of each other weight, by its slot's name.

    `ValueError` for an override that changes nothing.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> from refquant.model.recipe import recipe
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> rules_of(g, recipe("w4_group32_weight_only"))[1]["y"].bits
    4
    """
    excluded: set[str] = set()
    weights: dict[str, Weights] = {}
    assert recipe.weights is not None, "every scheme but float32 has weights"
    ops = _coded(recipe)
    for override in recipe.overrides:
        _matches(graph, override, ops)
    check_slot_names(graph)
    for node in graph.nodes:
        matching = [o for o in recipe.overrides if _fits(node, o) and o.weight is None]
        if matching and matching[-1].exclude:
            excluded.add(node.name)
        for index in _slots(graph, node, ops):
            name = node.inputs[index]
            own = [o for o in recipe.overrides if _fits(node, o) and _names(o, name)]
            if not own or not own[-1].exclude:
                rules = _rules(graph, node, index, recipe.weights, own)
                weights[slot_name(node, index)] = rules
            elif own[-1].weight is not None and not recipe.decodes:
                excluded.add(node.name)  # products of codes need codes of every weight
    return excluded, weights


def _rules(
    graph: Graph, node: Node, index: int, rules: Weights, matching: Sequence[Override]
) -> Weights:
    depthwise = is_depthwise(node, graph.constants[node.inputs[index]].shape)
    fitted = rules.algorithm != "rtn"
    if (depthwise and rules.bits < 8) or (fitted and (depthwise or node.op == "ConvTranspose")):
        # A group's size may be all that an override says: then there are groups.
        sized = any("group_size" in override.weights for override in matching)
        kept = (rules.granularity, rules.group_size) if sized else ("per_channel", None)
        rules = Weights(8, True, *kept, rules.observer)
    for override in matching:
        rules = override.applied_to(rules)
    if node.op == "Gather":
        named = any({"bits", "format"} & override.weights.keys() for override in matching)
        if rules.bits < 8 and not named:
            return Weights(8, True, "per_channel", None, rules.observer)
        return without_data(rules)
    return without_data(rules) if index == 2 else rules


def _coded(recipe: Recipe) -> tuple[str, ...]:
    """Return the operators whose weights become codes."""
    if recipe.decodes:
        return tuple(WEIGHTS)
    return WEIGHTED if recipe.scheme == "full_integer" else (*WEIGHTED, *RECURRENT)


def _slots(graph: Graph, node: Node, ops: Collection[str]) -> tuple[int, ...]:
    return slots(graph, node) if node.op in ops else ()


def _fits(node: Node, override: Override) -> bool:
    return fnmatchcase(node.name, override.nodes) and override.op in (None, node.op)


def _names(override: Override, weight: str) -> bool:
    return override.weight is None or fnmatchcase(weight, override.weight)


def _matches(graph: Graph, override: Override, ops: Sequence[str]) -> None:
    """Refuse an override that changes nothing."""
    matching = [node for node in graph.nodes if _fits(node, override)]
    of = "" if override.op is None else f" and op {override.op!r}"
    if not matching:
        names = ", ".join(repr(node.name) for node in graph.nodes[:8])
        raise ValueError(
            f"override: no node fits the pattern {override.nodes!r}{of}; after folding the nodes "
            f"are {names}{', ...' if len(graph.nodes) > 8 else ''}"
        )
    there = [n.inputs[i] for n in matching for i in _slots(graph, n, ops)]
    if override.weights and not there:
        raise ValueError(
            f"override: no node that fits the pattern {override.nodes!r}{of} has a weight; "
            f"name a {', '.join(ops[:-1])} or {ops[-1]}"
        )
    if override.weight is not None and not any(_names(override, name) for name in there):
        raise ValueError(
            f"override: no weight of the nodes that fit {override.nodes!r}{of} fits the pattern "
            f"{override.weight!r}; they are {', '.join(map(repr, there[:8])) or 'none'}"
        )
