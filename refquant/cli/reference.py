"""The golden executor over many samples, with something to watch meanwhile."""

from collections.abc import Collection, Mapping
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import Advance
from refquant.cli.data import sample_count
from refquant.model.execute import CHUNK, run
from refquant.model.execute import advance as step
from refquant.model.graph import Graph, has_batch
from refquant.model.states import initial_state
from refquant.model.stream import has_steps, pieces

__all__ = ["WORKERS", "execute", "execute_all"]

WORKERS = 2
"""Threads of `execute_all`. A third would take a core from the runtime, which runs meanwhile."""

Arrays = dict[str, NDArray[Any]]


def execute(
    graph: Graph,
    inputs: Mapping[str, NDArray[Any]],
    advance: Advance,
    *,
    keep: Collection[str] = (),
    sums: str = "ordered",
) -> Arrays:
    """Return what `refquant.model.execute.run` returns; call ``advance`` with samples done.

    A sample's result does not depend on its neighbours, so the chunks are those of the executor.
    Where there are states, it does on those before it: one stream, step by step.
    """
    if graph.states:
        return _streamed(graph, inputs, advance, keep, sums)
    if not has_batch(graph):
        outputs = run(graph, inputs, keep=keep, sums=sums)
        advance(1)
        return outputs
    parts = []
    for begin in range(0, sample_count(graph, inputs), CHUNK):
        chunk = {name: array[begin : begin + CHUNK] for name, array in inputs.items()}
        parts.append(run(graph, chunk, keep=keep, sums=sums))
        advance(sample_count(graph, chunk))
    return {name: _join([part[name] for part in parts], graph, name) for name in parts[0]}


def _streamed(
    graph: Graph,
    inputs: Mapping[str, NDArray[Any]],
    advance: Advance,
    keep: Collection[str],
    sums: str,
) -> Arrays:
    now, parts, stepped = initial_state(graph), list[Arrays](), has_steps(graph, inputs)
    for piece in pieces(graph, inputs):
        count = sample_count(graph, piece)
        for i in range(count):
            one = {n: a[i : i + 1] for n, a in piece.items()} if has_batch(graph) else piece
            made, now = step(graph, one, now, keep=keep, sums=sums)
            parts.append(made)
            advance(1)
    if not stepped and not has_batch(graph):
        return parts[0]
    join = np.stack if stepped else np.concatenate
    return {name: join([part[name] for part in parts]) for name in parts[0]}


def execute_all(
    graphs: Mapping[str, Graph],
    inputs: Mapping[str, Mapping[str, NDArray[Any]]],
    advance: Advance,
) -> dict[str, Arrays]:
    """Return for each name what `execute` returns, on two cores: NumPy lets both work.

    After an error or an interrupt the threads stop at the next chunk of samples.
    """
    stopped = Event()

    def go_on(count: int) -> None:
        if stopped.is_set():
            raise InterruptedError("another thread has failed")
        advance(count)

    with ThreadPoolExecutor(WORKERS) as pool:
        running = {
            name: pool.submit(execute, graph, inputs[name], go_on) for name, graph in graphs.items()
        }
        try:
            return {name: future.result() for name, future in running.items()}
        except BaseException:
            stopped.set()
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def _join(parts: list[NDArray[Any]], graph: Graph, name: str) -> NDArray[Any]:
    # The shape declared: the same for any samples, so one stands for all. Else: one a sample.
    return parts[0] if parts[0].shape == graph.values[name].shape else np.concatenate(parts)
