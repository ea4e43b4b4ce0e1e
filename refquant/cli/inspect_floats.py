"""Which nodes of a plan on codes compute with float32 all the same, and what an importer said.

A node *falls back* if it computes, and none of what it reads at run time is codes: a layer that a
recipe left out, a function without an integer form, weights of codes beside real inputs. Moving
elements is no computing, and a `QuantizeLinear` is the way in, not a fallback.
"""

import sys
from typing import Any

from refquant.cli.common import plain, print_table
from refquant.model.card import executed
from refquant.model.graph import Graph
from refquant.model.operators import MOVEMENT

__all__ = ["describe_floats", "print_floats"]

_MOVES = (*MOVEMENT, "Gather")
_REASONS = {
    "float32": "what it reads is float32",
    "decoded": "weights of codes beside float32 inputs: decoded",
}
_SHOWN = 10  # nodes of one operator that are named in the table; --json has all


def describe_floats(graph: Graph) -> list[dict[str, Any]]:
    """Return name, op and reason of each node that falls back; none where no node is on codes.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> describe_floats(b.graph([b.node("Relu", [b.input("x", ("N", 2))])]))
    []
    """
    kinds = [executed(graph, node) for node in graph.nodes]
    if "codes" not in kinds:
        return []
    unfused = _unfused(graph)
    return [
        {"node": node.name, "op": node.op, "reason": unfused.get(node.name) or _REASONS[kind]}
        for node, kind in zip(graph.nodes, kinds, strict=True)
        if kind in _REASONS and node.op not in _MOVES
    ]


def _unfused(graph: Graph) -> dict[str, str]:
    """Return what an importer said of nodes whose pairs it could not fuse, by the node's name."""
    told = graph.meta.get("import")
    listed = told.get("unfused") if isinstance(told, dict) else None
    rows = listed if isinstance(listed, list) else []
    reasons = [str(row.get("reason", "")) for row in rows if isinstance(row, dict)]
    named = ((reason.split("'"), reason) for reason in reasons)  # "Mul 'name' needs reals: why"
    return {words[1]: reason for words, reason in named if len(words) > 2}


def print_floats(found: list[dict[str, Any]]) -> None:
    """Print what `describe_floats` found, a line for each operator and reason."""
    groups: dict[tuple[str, str], list[str]] = {}
    for one in found:
        groups.setdefault((one["op"], one["reason"]), []).append(plain(one["node"]))
    rows = [
        (op, str(len(names)), plain(reason), _some(names)) for (op, reason), names in groups.items()
    ]
    sys.stdout.write(f"\n{len(found)} nodes compute with float32 in a plan on codes:\n")
    print_table({"op": "left", "count": "right", "because": "left", "nodes": "left"}, rows)


def _some(names: list[str]) -> str:
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return " ".join(names[:_SHOWN]) + more
