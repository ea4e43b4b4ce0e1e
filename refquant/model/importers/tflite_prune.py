"""What nobody reads is left out: the other order of a tensor, a table that was not needed."""

from collections.abc import Mapping, Sequence
from typing import Any

from refquant.model.build import Builder
from refquant.model.graph import Graph

__all__ = ["prune"]


def prune(builder: Builder, outputs: Sequence[str], meta: Mapping[str, Any]) -> Graph:
    """Return the graph of ``builder`` with only what its ``outputs`` need; inputs stay.

    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2))
    >>> _ = b.node("Neg", [x], name="unused")
    >>> [n.name for n in prune(b, [b.node("Abs", [x], name="y")], {}).nodes]
    ['y']
    """
    needed, kept = {*outputs, *builder.inputs}, []
    for node in reversed(builder.nodes):
        if needed.intersection(node.outputs):
            needed.update(node.inputs)
            kept.append(node)
    for name in [*needed]:
        quant = builder.values[name].quant if name in builder.values else None
        needed.update(quant.names if quant is not None else ())
    builder.nodes = kept[::-1]
    used = {name for node in kept for name in node.outputs} | needed
    builder.values = {name: value for name, value in builder.values.items() if name in used}
    builder.constants = {name: a for name, a in builder.constants.items() if name in used}
    contracts = {node.contract for node in kept}
    builder.contracts = {name: c for name, c in builder.contracts.items() if name in contracts}
    return builder.graph(outputs, meta=meta)
