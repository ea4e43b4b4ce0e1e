"""Which rules a node's weight has: the recipe's, what overrides say, and what depthwise ones need.

Overrides are looked at after folding, when nodes have the names that the file will show. The last
one that fits a node has its way; one that fits none is a mistake, and refused. Depthwise weights
keep 8 bits per channel, rounded to nearest, unless an override says otherwise
(`refquant.model.quantize_weights` says why).
"""

from fnmatch import fnmatchcase

from refquant.model.graph import Graph, Node
from refquant.model.quantize_weights import has_constant_weight, is_depthwise
from refquant.model.recipe import Override, Recipe, Weights

__all__ = ["rules_of"]


def rules_of(graph: Graph, recipe: Recipe) -> tuple[set[str], dict[str, Weights]]:
    """Return the names of excluded nodes, and the rules of each other node with a weight.

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
    for override in recipe.overrides:
        _matches(graph, override)
    for node in graph.nodes:
        matching = [o for o in recipe.overrides if _fits(node, o)]
        if matching and matching[-1].exclude:
            excluded.add(node.name)
        elif has_constant_weight(graph, node):
            shape = graph.constants[node.inputs[1]].shape
            rules = recipe.weights
            if is_depthwise(node, shape) and rules.bits < 8:
                # A group's size may be all that an override says: then there are groups.
                sized = any("group_size" in override.weights for override in matching)
                kept = (rules.granularity, rules.group_size) if sized else ("per_channel", None)
                rules = Weights(8, True, *kept, rules.observer)
            for override in matching:
                rules = override.applied_to(rules)
            weights[node.name] = rules
    return excluded, weights


def _fits(node: Node, override: Override) -> bool:
    return fnmatchcase(node.name, override.nodes) and override.op in (None, node.op)


def _matches(graph: Graph, override: Override) -> None:
    """Refuse an override that changes nothing."""
    matching = [node for node in graph.nodes if _fits(node, override)]
    of = "" if override.op is None else f" and op {override.op!r}"
    if not matching:
        names = ", ".join(repr(node.name) for node in graph.nodes[:8])
        raise ValueError(
            f"override: no node fits the pattern {override.nodes!r}{of}; after folding the nodes "
            f"are {names}{', ...' if len(graph.nodes) > 8 else ''}"
        )
    if override.weights and not any(has_constant_weight(graph, node) for node in matching):
        raise ValueError(
            f"override: no node that fits the pattern {override.nodes!r}{of} has a weight; "
            "name a Conv, Gemm or MatMul"
        )
