r"""R4, and every other layer: the input is rotated while the model runs, the weight for good.

.. math::

    W x = (W R^T)(R x)                                                                  \tag{1}

for every product whose input no fused rotation has turned: of a `MatMul` or `Gemm` along the last
axis, of a `Conv` along the channels, at each position: a convolution is a sum of such products,
and its padding is zeros, which R leaves zeros. One rotation serves all who read the same value. ::

    x --+--> Hadamard --+--> Conv, MatMul, Gemm (weights turned)
        |               '--> ...
        '--> others, as before

Left as they are, and noted: convolutions in groups (each sum is of a few channels, or one), layers
that the recipe keeps in float32, sizes that no power of two divides, GRU and LSTM.

References
----------
Ashkboos et al., "QuaRot", arXiv:2404.00456, section 4, stages 1b and 1c (the rotations that stay).
"""

from dataclasses import replace
from functools import partial

import numpy as np

from refquant.algorithms.rotate_axis import rotate_axis, seeded_signs
from refquant.model.graph import Graph, Node
from refquant.model.operators import WEIGHTS
from refquant.model.quantize_weights import has_constant_weight
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_find import input_axis
from refquant.numerics.hadamard import hadamard_block

__all__ = ["rotate_online"]

Groups = dict[tuple[str, int], list[Node]]


def rotate_online(draft: Draft, *, seed: int, leave: frozenset[str]) -> None:
    """Rotate in front of each product that is not turned yet, but those of nodes in ``leave``.

    What is done, and what is not, is noted in ``draft.records``.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> y = b.node("MatMul", [b.input("x", ("N", 2)), b.constant("w", np.ones((2, 1), np.float32))])
    >>> draft = Draft(b.graph([y]))
    >>> rotate_online(draft, seed=0, leave=frozenset())
    >>> [node.op for node in draft.done().nodes], draft.records[0]["kind"]
    (['Hadamard', 'MatMul'], 'online')
    """
    graph = draft.graph
    groups: Groups = {}
    for node in graph.nodes:
        reason = _obstacle(graph, node, leave)
        if node.name in draft.turned or reason is None:
            continue
        if reason:
            draft.records.append({"kind": "skipped", "nodes": [node.name], "reason": reason})
            continue
        axis = 1 if node.op == "Conv" else len(graph.values[node.inputs[0]].shape) - 1
        groups.setdefault((node.inputs[0], axis), []).append(node)
    for (value, axis), readers in groups.items():
        _turn(draft, value, axis, readers, seed)


def _obstacle(graph: Graph, node: Node, leave: frozenset[str]) -> str | None:
    """Say why the input of ``node`` is not rotated, nothing if it is; None: it has no weight."""
    if node.op in ("ConvTranspose", "GRU", "LSTM"):
        return f"a {node.op} is not rotated"
    if node.op not in WEIGHTS or node.op == "Gather" or not has_constant_weight(graph, node):
        return None
    if node.inputs[0] in graph.constants:
        return None
    if node.name in leave:
        return "the recipe leaves it in float32"
    if node.attributes.get("group", 1) != 1:
        return "a convolution in groups"
    size = graph.values[node.inputs[0]].shape[1 if node.op == "Conv" else -1]
    if not isinstance(size, int) or hadamard_block(size) < 2:
        return f"no power of two divides its {size} inputs"
    return ""


def _turn(draft: Draft, value: str, axis: int, readers: list[Node], seed: int) -> None:
    shape = draft.graph.values[value].shape
    size = shape[axis]
    assert isinstance(size, int), "_obstacle has looked"
    block, name = hadamard_block(size), f"online {value}"
    signs = seeded_signs(size, seed=seed, name=name)
    turned = draft.value(value, f"{value}/rotated")
    constant = draft.constant(f"{value}/signs", signs.astype(np.float32))
    attributes = {"axis": axis, "block_size": block}
    draft.behind(value, "Hadamard", (value, constant), turned, attributes)
    for node in readers:
        inputs = 1 if node.op == "Conv" else input_axis(draft.graph, node)
        by = partial(rotate_axis, signs=signs, axis=inputs, block_size=block)
        draft.turn(draft.node(node.name), 1, by)
        now = draft.node(node.name)
        draft.change(replace(now, inputs=(turned, *now.inputs[1:])))
    draft.turned.update(node.name for node in readers)
    draft.records.append({
        "kind": "online", "name": name, "size": size, "block_size": block, "while_running": 1,
        "nodes": [node.name for node in readers],
    })  # fmt: skip
