"""The golden executor: what a graph computes, float or quantized, in explicit NumPy.

docs/spec/operators.md says what every operator computes, `refquant.ops` computes it, and this
module hands each node its operands: one table from operator to function (`execute_node`), one walk
over the nodes. Slow by design; a runtime that is fast is compared with this, bit for bit.

A graph with a batch ``"N"`` is a function of one sample (docs/spec/rq-format.md, section 3). Most
operators give the same bits for a sample whatever stands beside it, so samples go through in
chunks. `DynamicQuantizeLinear` does not: it takes its range from all it is given, as `FakeQuantize`
may (`mixes_samples`). Graphs that contain such nodes are run one sample at a time. Where there are
sequences, ``"T"`` is the length of those that are given.

Where a graph has states (`refquant.model.states`), samples are the steps of one stream, in order.
"""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.execute_node import execute_node
from refquant.model.graph import DTYPES, Graph, fits, has_batch, has_length
from refquant.model.states import checked_state, free_inputs, initial_state, opened
from refquant.model.validate_simulated import mixes_samples
from refquant.numerics.dot import check_sums

__all__ = ["CHUNK", "SEQUENCES", "advance", "run"]

CHUNK, SEQUENCES = 250, 4
"""Samples, or sequences, at a time: memory is that of so many, however many there are."""

Arrays = dict[str, NDArray[Any]]


def run(
    graph: Graph,
    inputs: Mapping[str, NDArray[Any]],
    *,
    keep: Collection[str] = (),
    sums: str = "ordered",
) -> Arrays:
    """Return the outputs of the valid ``graph``, by name, and the values named in ``keep``.

    ``inputs`` has an array for each input, of its dtype and shape (codes for a quantized one); in
    place of ``"N"`` all have the same number of samples, 0 allowed. Outputs are codes where the
    output is quantized. A kept value without a batch that differs between samples (the scale of a
    `DynamicQuantizeLinear`) comes stacked, one a sample. `ValueError` says which input is wrong.
    ``sums="blas"`` is for looking at large models, not for comparing bits: float dot products in
    whatever order is fast here (`refquant.numerics.dot`); integer ones are exact either way.
    A graph with states begins anew, as `advance` from its initial state.

    >>> from refquant.model.build import Builder
    >>> b = Builder("double")
    >>> x = b.input("x", ("N", 2))
    >>> g = b.graph([b.node("Add", [x, x], name="y")])
    >>> run(g, {"x": np.array([[1, 2], [3, 4]], np.float32)})["y"].tolist()
    [[2.0, 4.0], [6.0, 8.0]]
    """
    if graph.states:
        return advance(graph, inputs, initial_state(graph), keep=keep, sums=sums)[0]
    names = list(dict.fromkeys([*graph.outputs, *keep]))
    for name in names:
        if name not in graph.values:
            raise ValueError(f"keep names {name!r}, which is no value of the graph; correct it")
    check_sums(sums)
    sizes = _check_inputs(graph, inputs, graph.inputs)
    if not has_batch(graph):
        return {name: array.copy() for name, array in _walk(graph, inputs, names, sums).items()}
    if sizes["N"] == 0:
        return {name: _empty(graph, name, sizes) for name in names}
    dynamic = any(n.op == "DynamicQuantizeLinear" or mixes_samples(n) for n in graph.nodes)
    step = 1 if dynamic else SEQUENCES if has_length(graph) else CHUNK
    parts = [
        _walk(graph, {name: a[i : i + step] for name, a in inputs.items()}, names, sums)
        for i in range(0, sizes["N"], step)
    ]
    return {name: _join(graph, name, [part[name] for part in parts]) for name in names}


def advance(
    graph: Graph,
    inputs: Mapping[str, NDArray[Any]],
    state: Mapping[str, NDArray[Any]],
    *,
    keep: Collection[str] = (),
    sums: str = "ordered",
) -> tuple[Arrays, Arrays]:
    """Return what `run` returns of a stream that goes on from ``state``, and the state it ends in.

    ``inputs`` are those without a state, N samples being N steps; one with a state may be fed all
    the same, and then is what it is fed. Nothing that is passed changes. `ValueError` as `run`, and
    for a ``state`` that is not the graph's.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import State
    >>> b = Builder("sums")
    >>> total = b.node("Add", [b.input("x", ("N", 1)), b.input("before", ("N", 1))], name="total")
    >>> g = b.graph([total], states=[State("sum", "before", "total")])
    >>> x = np.array([[1], [2], [3]], np.float32)
    >>> outputs, state = advance(g, {"x": x}, {"sum": np.array([[10]], np.float32)})
    >>> outputs["total"].tolist(), state["sum"].tolist()
    ([[11.0], [13.0], [16.0]], [[16.0]])
    """
    free = free_inputs(graph)
    sizes = _check_inputs(graph, inputs, [n for n in graph.inputs if n in inputs or n in free])
    pure, now = opened(graph), checked_state(graph, state)
    held = [item for item in graph.states if item.input not in inputs]
    names, parts = list(dict.fromkeys([*graph.outputs, *keep])), list[Arrays]()
    for i in range(sizes.get("N", 1)):  # without a batch, a run is one step
        one = {n: a[i : i + 1] if has_batch(graph) else a for n, a in inputs.items()}
        made = run(pure, one | {s.input: now[s.name] for s in held}, keep=keep, sums=sums)
        now = {item.name: made[item.output] for item in graph.states}
        parts.append({name: made[name] for name in names})
    if not parts:
        return {name: _empty(graph, name, sizes) for name in names}, now
    return {name: _join(graph, name, [part[name] for part in parts]) for name in names}, now


def _walk(graph: Graph, inputs: Mapping[str, NDArray[Any]], names: list[str], sums: str) -> Arrays:
    """Execute every node once; drop each value after its last use."""
    arrays: Arrays = {**graph.constants, **inputs}
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    for i, node in enumerate(graph.nodes):
        results = execute_node(
            graph, node, [arrays[name] if name else None for name in node.inputs], sums=sums
        )
        arrays.update(zip(node.outputs, results, strict=True))
        for name in {*node.inputs, *node.outputs}.difference(names):
            if name and name not in graph.constants and last.get(name, i) == i:
                del arrays[name]
    return {name: arrays[name] for name in names}


def _check_inputs(
    graph: Graph, inputs: Mapping[str, NDArray[Any]], names: Sequence[str]
) -> dict[str, int]:
    """Return the number of samples, N, and the length of the sequences, T, if there are any.

    ``names``: of the inputs that are to be there.
    """
    if inputs.keys() != set(names):
        raise ValueError(
            f"inputs must be exactly {sorted(names)}, got {sorted(inputs)}; rename them"
        )
    sizes: dict[str, int] = {}
    for name in names:
        value, array = graph.values[name], inputs[name]
        container = DTYPES[value.dtype].container
        if not isinstance(array, np.ndarray) or array.dtype != container:
            got = array.dtype if isinstance(array, np.ndarray) else f"a {type(array).__name__}"
            raise ValueError(
                f"input {name!r} must be an array of {container}, got {got}; convert it"
            )
        if not fits(value.shape, array.shape, sizes):
            known = ", ".join(f"{d} = {sizes[d]}" for d in ("N", "T") if d in sizes)
            known = f" with {known}" if known and not set(value.shape).isdisjoint(sizes) else ""
            raise ValueError(
                f"input {name!r} must have shape {list(value.shape)}{known}, "
                f"got {list(array.shape)}; reshape it"
            )
        if sizes.get("T") == 0:
            raise ValueError(f"input {name!r} must have at least one step, got {list(array.shape)}")
    return sizes


def _empty(graph: Graph, name: str, sizes: Mapping[str, int]) -> NDArray[Any]:
    """Return what no samples give."""
    if name in graph.constants:
        return graph.constants[name]
    shape = graph.values[name].shape
    rest = shape[1:] if shape[:1] == ("N",) else shape  # without a batch: stacked, see `run`
    own = (sizes[d] if isinstance(d, str) else d for d in rest)
    return np.empty((0, *own), DTYPES[graph.values[name].dtype].container)


def _join(graph: Graph, name: str, parts: list[NDArray[Any]]) -> NDArray[Any]:
    if graph.values[name].shape[:1] == ("N",):
        return np.concatenate(parts)
    return np.stack(parts) if _varies(graph, name) else parts[0]


def _varies(graph: Graph, name: str) -> bool:
    """Say whether the value is a scale or zero point that a sample has for itself."""
    return any(
        name in node.outputs[1:] for node in graph.nodes if node.op == "DynamicQuantizeLinear"
    )
