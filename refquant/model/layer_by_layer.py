"""Layer by layer: each one's codes are chosen for the inputs that the codes before it make.

Quantizing all layers from what the float model computes is simpler, and worse: layer 7 is then
fitted to inputs that it will never see. So the layers go in the graph's order, and the
`refquant.model.frontier` carries the calibration data through what is finished: ::

    for each layer, in order:     the frontier hands out its inputs
                                  the algorithm chooses its codes      (quantize_layer)
                                  codes and record go to the disk      (checkpoint)
                                  the frontier takes the new weight and goes on

Memory holds one layer's Hessian and the values at the cut, not the model's. Layers that read one
value (queries, keys, values) share its Hessian. A layer whose algorithm needs no data costs no
execution unless a later one needs it executed.

The record of each layer, with its loss, goes into the file's meta (`refquant.model.card`).

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, section 4.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.algorithms.hessian import Hessian
from refquant.contracts import Contract
from refquant.model.checkpoint import Checkpoint
from refquant.model.coded import Coded, coded_reals, from_tensors, tensors
from refquant.model.enough_tokens import check_enough_tokens
from refquant.model.frontier import Frontier, Held
from refquant.model.graph import Graph, Node
from refquant.model.quantize_layer import Seen, quantize_layer
from refquant.model.recipe_rules import Weights
from refquant.model.weight_matrix import layout, tokens_of
from refquant.model.weight_slots import slot_name, weight_slots

__all__ = ["LayerDone", "Report", "needs_data", "quantize_layers"]

F32 = NDArray[np.float32]
Record = dict[str, Any]

_TOKENS = 4096
"""A Hessian is the same however its tokens come; products of many at once are faster."""

_LOUDEST = 2.0**63
"""Beyond it a float32 has no float32 square: no layer's inputs, but a number gone wrong."""


@dataclass(frozen=True, slots=True)
class LayerDone:
    """What a listener is told: layer number ``index`` of ``count`` is finished; its ``record``.

    ``resumed``: it was read from a checkpoint.
    """

    index: int
    count: int
    record: Mapping[str, Any]
    resumed: bool


Report = Callable[[LayerDone], None]


def needs_data(rules: Mapping[str, Weights]) -> frozenset[str]:
    """Return the nodes whose algorithm looks at calibration data.

    >>> sorted(needs_data({"a": Weights(), "b": Weights(algorithm="gptq")}))
    ['b']
    """
    return frozenset(name for name, own in rules.items() if own.needs_data)


def quantize_layers(
    graph: Graph,
    rules: Mapping[str, Weights],
    *,
    contract: Contract,
    held: Held | None,
    sums: str,
    store: Checkpoint | None,
    report: Report,
) -> tuple[dict[str, Coded], list[Record]]:
    """Return the codes of each weight in ``rules``, by its slot's name, and a record of each.

    Slots: `refquant.model.weight_slots`; a node's only weight is called by the node's name.
    ``held``: the calibration data, where `needs_data` names a node. What ``store`` has is taken
    from there, and the rest is put there as it is finished.

    >>> from refquant.contracts import preset
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> w = b.constant("w", np.eye(2, dtype=np.float32))
    >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    >>> coded, records = quantize_layers(g, {"y": Weights(bits=4)}, contract=preset("ort"),
    ...     held=None, sums="ordered", store=None, report=lambda done: None)
    >>> coded["y"].dtype, records[0]["algorithm"], records[0]["measure"]
    ('int4', 'rtn', 'weights')
    """
    todo = [slot for slot in weight_slots(graph) if slot[2] in rules]
    for node, index, slot in todo:  # what cannot be cut is refused before long work, not after it
        if rules[slot].algorithm != "rtn":
            layout(node, graph.constants[node.inputs[index]].shape, rules[slot])
    stops, frontier = needs_data(rules), None
    if stops:
        if held is None:
            raise ValueError(f"the weights of {sorted(stops)[:4]} need calibration data; pass some")
        check_enough_tokens(graph, rules, held, stops)
        frontier = Frontier(graph, held, stops, sums)
    done: dict[str, Coded] = {}
    records: list[Record] = []
    shared = _Shared(frontier)
    for node, index, slot in todo:
        found = None if store is None else _loaded(store, slot)
        coded, record = found or _made(graph, node, index, rules[slot], contract, shared)
        if store is not None and found is None:
            _save(store, slot, coded, record)
        done[slot] = coded
        records.append(record)
        if frontier is not None:
            frontier.replace(node, coded_reals(coded), index=index)
        report(LayerDone(len(records), len(rules), record, found is not None))
    return done, records


def _made(
    graph: Graph, node: Node, index: int, rules: Weights, contract: Contract, shared: "_Shared"
) -> tuple[Coded, Record]:
    """Return the codes of the weight at input ``index`` of ``node``, and their record."""
    name = node.inputs[index]
    w = graph.constants[name]
    seen = shared.seen(node, w.shape) if rules.needs_data else None
    coded, cost = quantize_layer(node, w, rules, contract=contract, seen=seen, name=name)
    about = {"node": slot_name(node, index), "op": node.op, "weight": name}
    return coded, {**about, **_described(coded, rules), **cost}


class _Shared:
    """The Hessian of the last input that was looked at: neighbours often read the same one."""

    def __init__(self, frontier: Frontier | None) -> None:
        self._frontier = frontier
        self._key: object = None
        self._hessian: Hessian | None = None

    def seen(self, node: Node, shape: tuple[int, ...]) -> Seen:
        frontier = self._frontier
        assert frontier is not None, "a node that needs data is a stop"

        def tokens() -> Iterator[F32]:
            for x in frontier.inputs(node):
                yield tokens_of(node, x, shape)

        window = (sorted(node.attributes.items()), shape[1:]) if node.op == "Conv" else None
        key = (node.inputs[0], window)
        if self._hessian is None or key != self._key:
            self._key, self._hessian = key, None  # the last one is not needed while this is made
            self._hessian = _hessian(node, _gathered(tokens()))
        return Seen(self._hessian, tokens)


def _hessian(node: Node, batches: Iterator[F32]) -> Hessian:
    state: Hessian | None = None
    for batch in batches:
        try:
            _check_squares(batch)
            state = (Hessian(batch.shape[-1]) if state is None else state).update(batch)
        except ValueError as error:
            raise ValueError(
                f"calibration, node {node.name!r}, input {node.inputs[0]!r}: {error}; look at the "
                "data and the model's constants"
            ) from error
    assert state is not None, "`hold` refuses data without samples"
    return state


def _check_squares(batch: F32) -> None:
    """Refuse finite tokens that are absurd: beside one of 1e30 all others count as nothing."""
    loudest = float(np.abs(batch).max(initial=0.0))
    if _LOUDEST <= loudest < np.inf:
        raise ValueError(f"batch must be below 2^63, whose square float32 has, got {loudest:.3g}")


def _gathered(batches: Iterator[F32]) -> Iterator[F32]:
    """Yield the tokens of ``batches``, at least `_TOKENS` at a time but for the last."""
    parts: list[F32] = []
    for batch in batches:
        parts.append(batch)
        if sum(map(len, parts)) >= _TOKENS:
            yield np.concatenate(parts)
            parts = []
    if parts:
        yield np.concatenate(parts)


def _described(coded: Coded, rules: Weights) -> Record:
    return {
        "algorithm": rules.algorithm,
        "format": coded.format,
        "dtype": coded.dtype,
        "shape": list(coded.codes.shape),
        "block_shape": None if coded.block_shape is None else list(coded.block_shape),
    }


def _save(store: Checkpoint, slot: str, coded: Coded, record: Record) -> None:
    store.save(f"layer/{slot}", tensors(coded), record)


def _loaded(store: Checkpoint, slot: str) -> tuple[Coded, Record] | None:
    found = store.load(f"layer/{slot}")
    if found is None:
        return None
    arrays, record = found
    block = record["block_shape"]
    shape = None if block is None else tuple(block)
    dtype, label = record["dtype"], record["format"]
    return from_tensors(arrays, dtype=dtype, block_shape=shape, format=label), record
