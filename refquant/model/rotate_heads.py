r"""R2: the values of each attention head are rotated, between the layers v and o.

An attention's weights are numbers, so a rotation of the values passes through it:

.. math::

    \sum_t a_t (R v_t) = R \sum_t a_t v_t                                               \tag{1}

::

    x --> MatMul v --> (Add) --> (Slice) --> Attention --> MatMul o
          columns R     R          |          input 2       rows R^T, head by head
                                   '- v may be a part of one product of q, k and v

The same signs for all heads, because a head of keys and values may serve several of queries.
Where the maker of v is another, or somebody else reads what is between, nothing is done, and the
input of o is rotated while the model runs, like any other (`refquant.model.rotate_online`).

References
----------
Ashkboos et al., "QuaRot", arXiv:2404.00456, section 4, stage 1c; Liu et al., "SpinQuant",
arXiv:2405.16406 (R2).
"""

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.rotate_axis import rotate_axis, seeded_signs
from refquant.model.graph import Node
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_find import Links, Writer, input_axis, linear, writers_of
from refquant.numerics.hadamard import hadamard_block

__all__ = ["rotate_heads"]

F64 = NDArray[np.float64]


def rotate_heads(draft: Draft, *, seed: int) -> None:
    """Rotate the values of each `Attention` that lets it pass; note it in ``draft.records``.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", "T", 4))
    >>> names = [b.constant(n, np.eye(4, dtype=np.float32)) for n in ("wv", "wo")]
    >>> v = b.node("MatMul", [x, names[0]])
    >>> y = b.node("Attention", [x, x, v], attributes={"q_num_heads": 2, "kv_num_heads": 2})
    >>> draft = Draft(b.graph([b.node("MatMul", [y, names[1]], name="o")]))
    >>> rotate_heads(draft, seed=0)
    >>> draft.records[0]["kind"], draft.records[0]["size"], draft.records[0]["nodes"]
    ('R2', 2, ['o'])
    """
    links = Links.of(draft.graph)
    for node in links.graph.nodes:
        if node.op != "Attention":
            continue
        values, size = node.inputs[2], _head(links, node)
        block = hadamard_block(size) if size else 1
        readers = links.reads(node.outputs[0])
        fine = block > 1 and _alone(links, node) and bool(readers)
        if not fine or any(reader.name in draft.turned for reader in readers):
            continue
        found = _writers(links, values, node)
        if found is None:
            continue
        writers, names, first, last = found
        name = f"heads {node.name}"
        signs = seeded_signs(size, seed=seed, name=name)
        turn: Callable[..., F64] = partial(rotate_axis, signs=signs, block_size=block)
        for writer in writers:
            by = partial(_part, turn=turn, axis=writer.axis, first=first, last=last)
            draft.turn(draft.node(writer.node), writer.index, by)
        for reader in readers:
            by = partial(turn, axis=input_axis(links.graph, reader))
            draft.turn(draft.node(reader.name), 1, by)
        for value in (*names, node.outputs[0]):
            _rename(draft, links, value)
        draft.turned.update(reader.name for reader in readers)
        draft.records.append({
            "kind": "R2", "name": name, "size": size, "block_size": block, "while_running": 0,
            "nodes": [reader.name for reader in readers],
        })  # fmt: skip


def _head(links: Links, node: Node) -> int:
    """Return the elements of a head of values, 0 where heads are an axis of their own."""
    shape, heads = links.shape(node.inputs[2]), node.attributes.get("kv_num_heads")
    width = shape[-1]
    if len(shape) != 3 or not isinstance(heads, int) or not isinstance(width, int):
        return 0
    return width // heads


def _alone(links: Links, node: Node) -> bool:
    """Say whether only linear layers read the attention's output."""
    value = node.outputs[0]
    readers = links.reads(value)
    plain = all(linear(links.graph, n, value) and value not in n.inputs[1:] for n in readers)
    return plain and value not in links.graph.outputs and node.inputs.count(node.inputs[2]) == 1


def _writers(
    links: Links, value: str, reader: Node
) -> tuple[list[Writer], list[str], int, int] | None:
    """Return the constants that write ``value``, the values on the way, and their part of these."""
    width = links.shape(value)[-1]
    assert isinstance(width, int), "_head has looked"
    graph, first, last = links.graph, 0, width
    writers: list[Writer] = []
    names: list[str] = []
    readers: tuple[Node, ...] = (reader,)
    while True:
        others = [n for n in links.reads(value) if n not in readers]
        if value in graph.outputs or any(not _apart(links, n, first, last) for n in others):
            return None
        names.append(value)
        maker = links.makers.get(value)
        if maker is None:
            return None
        readers = (maker,)
        if maker.op == "Slice" and not writers and len(names) == 1:
            part = _range(links, maker)
            if part is None:
                return None
            (first, last), value = part, maker.inputs[0]
        elif maker.op == "Add" and (index := _vector(links, maker)) is not None:
            writers.append(Writer(maker.name, index, 0))
            value = maker.inputs[1 - index]
        elif linear(graph, maker, maker.inputs[0]):
            return [*writers, *writers_of(graph, maker)], names, first, last
        else:
            return None


def _range(links: Links, node: Node) -> tuple[int, int] | None:
    """Return the part of the last axis that a `Slice` of it alone takes."""
    shape = links.shape(node.inputs[0])
    axes, ends = node.attributes["axes"], (node.attributes["starts"], node.attributes["ends"])
    if not isinstance(axes, tuple) or len(axes) != 1 or axes[0] % len(shape) != len(shape) - 1:
        return None
    size, found = shape[-1], []
    for end in ends:
        if not isinstance(end, tuple) or not isinstance(size, int):
            return None
        found.append(min(max(end[0] + size if end[0] < 0 else end[0], 0), size))
    return found[0], found[1]


def _apart(links: Links, node: Node, first: int, last: int) -> bool:
    """Say whether ``node`` takes another part of the last axis."""
    part = _range(links, node) if node.op == "Slice" else None
    return part is not None and (part[1] <= first or part[0] >= last)


def _vector(links: Links, node: Node) -> int | None:
    """Return the input of an `Add` that is a constant, a number for each element of a vector."""
    shape = links.shape(node.outputs[0])
    for index, name in enumerate(node.inputs):
        constant = links.graph.constants.get(name)
        other = node.inputs[1 - index]
        if constant is not None and constant.shape == shape[-1:] and links.shape(other) == shape:
            return index
    return None


def _part(w: F64, *, turn: Callable[..., F64], axis: int, first: int, last: int) -> F64:
    """Turn the part of ``w`` from ``first`` to ``last`` along ``axis``."""
    moved = np.moveaxis(w, axis, 0)
    part = turn(np.ascontiguousarray(moved[first:last]), axis=0)
    result = np.concatenate([moved[:first], part, moved[last:]])
    return np.ascontiguousarray(np.moveaxis(result, 0, axis))


def _rename(draft: Draft, links: Links, value: str) -> None:
    turned = draft.value(value, f"{value}/rotated")
    draft.write(links.makers[value].name, turned)
    for node in links.reads(value):
        draft.read(node.name, value, turned)
