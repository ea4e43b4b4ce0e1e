"""``If`` and ``Loop`` on what is known at import: the nodes that stand in their place.

A branch is put in place as it is. A loop is put in place one trip at a time, because the condition
of the next trip is known only when this one's nodes were walked over: the trip's nodes, and the
same ``Loop`` again, one trip on::

    Loop(M = 3, cond, v; trip 0)  ->  body(0, true, v) -> (cond', v', s')
                                      Loop(M = 3, cond', v'; trip 1)

After the last trip its outputs are the values carried, and what each trip has added (``s``),
stacked.

Refused: conditions and counts that only a run knows; more than `MOST_TRIPS` trips; stacks of no
trip. ``Scan`` is left out.

References: ONNX ``If``, ``Loop``.
"""

from collections.abc import Mapping

import numpy as np

from refquant.model.importers.onnx_ends import inlined
from refquant.model.importers.onnx_items import Known, Unsupported
from refquant.model.importers.onnx_known import has_letters
from refquant.model.importers.onnx_model import OnnxGraph, OnnxNode, Opaque, Tensor
from refquant.model.importers.onnx_scope import Scope

__all__ = ["CONTROL", "MOST_TRIPS", "placed"]

Placed = tuple[Mapping[str, Tensor | Opaque], list[OnnxNode]]

CONTROL = ("If", "Loop")
MOST_TRIPS = 1024
_TRIP, _STACKS = "@trip", "@stacks"  # of a loop that goes on: no file has such attributes


def placed(s: Scope, node: OnnxNode, count: int) -> Placed:
    """Return the constants and nodes that stand for ``node``, the ``count``-th so far."""
    return _branch(s, node, count) if node.op == "If" else _trip(s, node, count)


def _branch(s: Scope, node: OnnxNode, count: int) -> Placed:
    condition = s.items[node.inputs[0]]
    if not isinstance(condition, Known) or has_letters(condition.array):
        raise Unsupported("its condition is known in a run only; fix the input it comes from")
    taken = "then_branch" if condition.array.any() else "else_branch"
    branch = node.attributes.get(taken)
    if not isinstance(branch, OnnxGraph):
        raise Unsupported(f"it has no {taken}")
    inner = inlined(branch, f"{node.label}/{taken}/{count}/")
    return inner.constants, [*inner.nodes, *_same(node, inner.outputs, node.outputs)]


def _same(node: OnnxNode, sources: tuple[str, ...], names: tuple[str, ...]) -> list[OnnxNode]:
    return [
        OnnxNode(f"{node.label}/{i}", "Identity", (source,), (name,))
        for i, (source, name) in enumerate(zip(sources, names, strict=True))
        if name
    ]


def _goes_on(s: Scope, node: OnnxNode, trip: int) -> bool:
    """Say whether there is a trip ``trip``."""
    most, condition = (s.known(node, i, what) for i, what in ((0, "the count"), (1, "cond")))
    for array in (most, condition):
        if array is not None and (has_letters(array) or array.size != 1):
            raise Unsupported("its trips are known in a run only; give the inputs sizes")
    if most is None and condition is None:
        raise Unsupported("it never ends")
    count = MOST_TRIPS + 1 if most is None else int(most.ravel()[0])
    if trip >= count or (condition is not None and not condition.any()):
        return False
    if trip >= MOST_TRIPS or (condition is None and count > MOST_TRIPS):
        raise Unsupported(f"{count} trips or more are no part of a graph; at most {MOST_TRIPS} are")
    return True


def _trip(s: Scope, node: OnnxNode, count: int) -> Placed:
    body, trip = node.attributes.get("body"), node.attributes.get(_TRIP, 0)
    if not isinstance(body, OnnxGraph) or len(body.inputs) != len(node.inputs):
        raise Unsupported("its body has an input for the trip, the condition and each value")
    carried = len(node.inputs) - 2
    stacks = node.attributes.get(_STACKS, ((),) * (len(node.outputs) - carried))
    if len(body.outputs) != 1 + carried + len(stacks):
        raise Unsupported("its body has other outputs than the node")
    if not _goes_on(s, node, trip):
        return {}, _ended(node, carried, stacks)
    prefix = f"{node.label}/{trip}/{count}/"
    inner = inlined(body, prefix)
    given = [prefix + value.name for value in body.inputs]
    constants = {
        **inner.constants,
        given[0]: Tensor(np.asarray(trip, np.int64), "int64"),
        given[1]: Tensor(np.asarray(True), "bool"),
    }
    nodes = [*_same(node, node.inputs[2:], tuple(given[2:])), *inner.nodes]
    more = zip(stacks, inner.outputs[1 + carried :], strict=True)
    attributes = {
        "body": body,
        _TRIP: trip + 1,
        _STACKS: tuple((*rows, name) for rows, name in more),
    }
    onward = (node.inputs[0], *inner.outputs[: 1 + carried])
    nodes.append(OnnxNode(node.name, "Loop", onward, node.outputs, attributes))
    return constants, nodes


def _ended(node: OnnxNode, carried: int, stacks: tuple[tuple[str, ...], ...]) -> list[OnnxNode]:
    nodes = _same(node, node.inputs[2:], node.outputs[:carried])
    for i, (names, output) in enumerate(zip(stacks, node.outputs[carried:], strict=True)):
        if not output:
            continue
        if not names:
            raise Unsupported("it has no trip, and stacks nothing")
        rows = [f"{node.label}/stack/{i}/{k}" for k in range(len(names))]
        nodes += [
            OnnxNode(row, "Unsqueeze", (name,), (row,), {"axes": (0,)})
            for row, name in zip(rows, names, strict=True)
        ]
        nodes.append(OnnxNode(f"{node.label}/{output}", "Concat", tuple(rows), (output,),
                              {"axis": 0}))  # fmt: skip
    return nodes
