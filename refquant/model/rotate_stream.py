r"""R1: the residual stream of a graph is rotated, and its constants undo it.

For each stream of `refquant.model.rotate_find` that norms read, with R of
`refquant.algorithms.rotate_axis`: ::

    writers (tables, W and b of o, down)    R w                     (M first, for LayerNorm)
    entries                                 Hadamard                (ReduceMean, Sub first)
    norms                                   RMS norms of gain 1
    their readers (q, k, v, gate, up)       W diag(gain) R^T,  b + W shift
    exits                                   Hadamard, inverse       (then Mul gain, Add shift)

R passes where it is cheaper than rotations in front of layers: with fewer entries and exits than
norms. So a BERT's streams, each with one norm whose output is the next one's summand, are left;
so are LayerNorm's whose values somebody else reads, for the mean is gone from them. What is left,
and why, stands in the records.

References
----------
Ashkboos et al., "QuaRot", arXiv:2404.00456, section 4, stage 1a; "SliceGPT", arXiv:2401.15024,
section 3.2 (LayerNorm).
"""

from functools import partial

import numpy as np

from refquant.algorithms.rotate_axis import centre_axis, rotate_axis, seeded_signs
from refquant.model.graph import Graph
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_find import Links, Stream, find_streams, input_axis
from refquant.model.rotate_norm import Rotation, inside, rotate_norm
from refquant.numerics.hadamard import hadamard_block

__all__ = ["passing_norms", "rotate_streams"]


def passing_norms(graph: Graph) -> tuple[str, ...]:
    """Return the norms of the streams that let R pass.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> passing_norms(b.graph([b.node("Relu", [b.input("x", ("N", 2))])]))
    ()
    """
    links = Links.of(graph)
    streams = [s for s in find_streams(links) if not _obstacle(links, s)]
    return tuple(name for stream in streams for name in stream.norms)


def rotate_streams(draft: Draft, *, seed: int) -> None:
    """Rotate each stream that lets R pass; note it, and what was left, in ``draft.records``.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> table, one = np.eye(2, dtype=np.float32), np.ones(2, np.float32)
    >>> x = b.node("Gather", [b.constant("t", table), b.input("i", ("N",), dtype="int32")])
    >>> y = b.node("RMSNormalization", [x, b.constant("one", one)], name="norm")
    >>> y = b.node("MatMul", [y, b.constant("w", table)], name="y")
    >>> draft = Draft(b.graph([y]))
    >>> rotate_streams(draft, seed=0)
    >>> draft.records[0]["kind"], draft.records[0]["nodes"]
    ('R1', ['y'])
    """
    links = Links.of(draft.graph)
    passing: list[tuple[Stream, Rotation, str]] = []
    for stream in find_streams(links):
        reason = _obstacle(links, stream)
        if reason:
            record = {"kind": "skipped", "nodes": stream.norms, "reason": f"R1: {reason}"}
            draft.records.append(record)
            continue
        size, block = stream.size, hadamard_block(stream.size)
        name = f"stream {stream.norms[0]}"
        signs = seeded_signs(size, seed=seed, name=name)
        constant = draft.constant(f"{stream.norms[0]}/signs", signs.astype(np.float32))
        turn = partial(rotate_axis, signs=signs, block_size=block)
        passing.append((stream, turn, constant))
        nodes: list[str] = []
        for norm in stream.norms:  # before all writers: a shift is added before it is turned
            nodes += rotate_norm(draft, links, draft.node(norm), turn, constant, block)
        _linear_readers(draft, links, stream, turn, nodes)
        draft.turned.update(nodes)
        draft.records.append({
            "kind": "R1", "name": name, "size": size, "block_size": block,
            "while_running": _cost(links, stream), "nodes": nodes,
        })  # fmt: skip
    for stream, rotation, constant in passing:
        _write(draft, links, stream, rotation, constant)


def _obstacle(links: Links, stream: Stream) -> str:
    """Say why R1 does not pass, nothing if it does."""
    kinds = {_op(links, name) for name in stream.norms}
    if hadamard_block(stream.size) < 2:
        return f"no power of two divides {stream.size}"
    if len(kinds) > 1:
        return "norms of two kinds"
    if kinds == {"LayerNormalization"} and (stream.exits or _plain_readers(links, stream)):
        return "LayerNorm's mean would be missing to other readers"
    cost = _cost(links, stream)
    if cost >= len(stream.norms):
        return f"it would take {cost} rotations while running for {len(stream.norms)} norms"
    return ""


def _op(links: Links, name: str) -> str:
    return next(n.op for n in links.graph.nodes if n.name == name)


def _cost(links: Links, stream: Stream) -> int:
    """Return how many rotations stay while the model runs."""
    norms = [n for n in links.graph.nodes if n.name in stream.norms]
    return len(stream.entries) + len(stream.exits) + sum(not inside(links, n) for n in norms)


def _plain_readers(links: Links, stream: Stream) -> list[str]:
    """Return linear readers of values that are no entries: these keep their own."""
    nodes = {n.name: n for n in links.graph.nodes}
    return [name for name in stream.readers if nodes[name].inputs[0] not in stream.entries]


def _linear_readers(
    draft: Draft, links: Links, stream: Stream, turn: Rotation, nodes: list[str]
) -> None:
    """Let linear layers that read the stream itself (no LayerNorm's: it has no mean) take R^T."""
    if _op(links, stream.norms[0]) == "LayerNormalization":
        return
    for name in stream.readers:
        node = draft.node(name)
        draft.turn(node, 1, partial(turn, axis=input_axis(links.graph, node)))
        nodes.append(name)


def _write(draft: Draft, links: Links, stream: Stream, turn: Rotation, signs: str) -> None:
    """Turn who writes the stream, rename its values, put rotations at its ends."""
    centred = _op(links, stream.norms[0]) == "LayerNormalization"
    block = hadamard_block(stream.size)
    for writer in stream.writers:
        node = draft.node(writer.node)
        if centred:
            draft.turn(node, writer.index, partial(centre_axis, axis=writer.axis))
        draft.turn(node, writer.index, partial(turn, axis=writer.axis))
    sums = {*stream.values}.difference(stream.entries)
    for value in stream.values:
        turned = draft.value(value, f"{value}/rotated")
        for node in links.reads(value):
            summed = node.op == "Add" and node.outputs[0] in sums
            reads = node.name in stream.readers and not centred
            if summed or reads or node.name in stream.norms:
                draft.read(node.name, value, turned)
        if value in stream.entries:
            source = _without_mean(draft, value) if centred else value
            draft.behind(source, "Hadamard", (source, signs), turned, {"block_size": block})
            continue
        draft.write(links.makers[value].name, turned)
        if value in stream.exits:
            attributes = {"block_size": block, "inverse": 1}
            draft.behind(turned, "Hadamard", (turned, signs), value, attributes)


def _without_mean(draft: Draft, value: str) -> str:
    shape = draft.graph.values[value].shape
    mean = draft.value(value, f"{value}/mean")
    draft.reshaped(mean, (*shape[:-1], 1))
    draft.behind(value, "ReduceMean", (value,), mean, {"axes": (len(shape) - 1,), "keepdims": 1})
    centred = draft.value(value, f"{value}/centred")
    draft.behind(mean, "Sub", (value, mean), centred, {})
    return centred
