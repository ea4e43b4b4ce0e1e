r"""The frontier: what the layers done so far make of the calibration data, and nothing else.

Quantizing layer by layer needs the inputs of layer i as the *quantized* layers before it make them,

.. math::

    X_{i+1} = f_i(X_i;\ \hat W_i), \qquad X_0 = \text{the data}                             \tag{1}

so that each layer is fitted to the errors that it will really meet. Done by running the model again
for each layer, that takes :math:`O(L^2)` layers of work. Here every node is executed once: the walk
stops in front of a layer, hands out its inputs, takes the new weight, and goes on. Kept are only
values that a later node still reads, for all samples: ::

    done            | frontier      | to come
    conv1 (codes)   | x of conv2    | conv2  <- stops here, batch after batch
                    | the residual  | add
                    ^ a cut through the graph

Nodes that no further layer depends on are never executed: the scores of a language model, the
largest of its values, are not even computed.

From stop to stop each batch goes by itself, and two or more at a time where there are cores: no
number of one meets a number of another. What a batch needs on the way is forgotten with it, so that
between stops there is memory for a few batches, and at a stop for the cut.

Batches are cut in one way (`refquant.model.calibrate.steps`, and a few sequences at a time) and
nodes run in the graph's order, in float32 sums of one order (``sums="ordered"``): the same bits
every time, so a walk that was killed and walked again is the same walk. ``sums="blas"`` is faster
and gives the same bits on one machine.

References
----------
Frantar et al., "GPTQ", arXiv:2210.17323, section 4 ("Setup": block by block, on the inputs that the
quantized blocks before make); docs/decisions/003-order-of-float-sums.md.
"""

import hashlib
import os
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.calibrate import Batch, steps
from refquant.model.execute import SEQUENCES
from refquant.model.execute_node import execute_node
from refquant.model.graph import Graph, Node, has_batch, has_length

__all__ = ["Frontier", "Held", "hold"]

F32 = NDArray[np.float32]

_AT_ONCE = 4  # batches on their way: each has its own values between two stops


@dataclass(frozen=True, slots=True)
class Held:
    """Calibration data in memory: ``batches`` of a few samples, how many samples, their SHA-256."""

    batches: tuple[Batch, ...]
    samples: int
    sha256: Mapping[str, str]


def hold(graph: Graph, data: Batch | Iterable[Batch] | None) -> Held:
    """Return the checked calibration data of ``graph``, which is walked over more than once.

    `ValueError` as in `refquant.model.calibrate.calibrate`. However the data are cut into dicts,
    the batches have the same bytes if the dicts hold whole numbers of them.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> hold(g, {"x": np.zeros((40, 2), np.float32)}).samples
    40
    """
    batches = tuple(dict(batch) for batch in steps(graph, data))
    hashes = {name: hashlib.sha256() for name in graph.inputs}
    for batch in batches:
        for name, array in batch.items():
            hashes[name].update(array.astype(array.dtype.newbyteorder("<")).tobytes())
    first = graph.inputs[0]
    samples = sum(len(batch[first]) if has_batch(graph) else 1 for batch in batches)
    if samples == 0:
        raise ValueError("calibration holds no samples; pass at least one, better a few hundred")
    return Held(batches, samples, {name: h.hexdigest() for name, h in hashes.items()})


@dataclass(slots=True)
class Frontier:
    """A walk over the float ``graph`` that stops in front of each node in ``stops``.

    ``sums`` as in `refquant.model.execute.run`. It changes as it goes; nothing else does.
    """

    graph: Graph
    held: Held
    stops: Collection[str]
    sums: str
    _arrays: list[dict[str, NDArray[Any]]] = field(init=False)
    _weights: dict[tuple[str, int], NDArray[Any]] = field(default_factory=dict, init=False)
    _done: int = field(default=0, init=False)
    _needed: list[bool] = field(init=False)
    _last: dict[str, int] = field(init=False)

    def __post_init__(self) -> None:
        """Find out which nodes a stop depends on, and who reads each value last."""
        self._arrays = [part for batch in self.held.batches for part in _parts(self.graph, batch)]
        self._needed, self._last = _plan(self.graph, self.stops)

    def inputs(self, node: Node) -> Iterator[F32]:
        """Yield the first operand of ``node``, a stop not yet passed, batch by batch: eq. (1)."""
        index = next(i for i, n in enumerate(self.graph.nodes) if n.name == node.name)
        if node.name not in self.stops or index < self._done:
            raise ValueError(f"node {node.name!r} is no stop, or behind the frontier")
        if self._done < index:
            self._advance(index)
        name = node.inputs[0]
        for arrays in self._arrays:
            yield arrays[name] if name in arrays else self.graph.constants[name]

    def replace(self, node: Node, weight: F32, *, index: int = 1) -> None:
        """Let ``node`` compute with ``weight``, of the shape of its input ``index``, from here on.

        >>> from refquant.model.build import Builder
        >>> b = Builder("g")
        >>> w = b.constant("w", np.eye(2, dtype=np.float32))
        >>> g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
        >>> front = Frontier(g, hold(g, {"x": np.ones((1, 2), np.float32)}), ["y"], "ordered")
        >>> front.replace(g.nodes[0], 2 * np.eye(2, dtype=np.float32))
        """
        self._weights[node.name, index] = weight

    def live(self) -> frozenset[str]:
        """Return the names of the values that are kept now."""
        return frozenset(self._arrays[0])

    def _advance(self, stop: int) -> None:
        """Execute the nodes in front of ``stop`` on all batches, several batches at a time."""
        nodes = range(self._done, stop)

        def walk(arrays: dict[str, NDArray[Any]]) -> None:
            for index in nodes:
                self._step(index, arrays)

        pool = ThreadPoolExecutor(_threads(self.sums))
        try:
            for _ in pool.map(walk, self._arrays):
                pass  # what a batch raises is raised here, the first batch's first
        finally:
            pool.shutdown(cancel_futures=True)
        for node in (self.graph.nodes[index] for index in nodes):
            for i in range(len(node.inputs)):
                self._weights.pop((node.name, i), None)
        self._done = stop

    def _step(self, index: int, arrays: dict[str, NDArray[Any]]) -> None:
        """Execute one node on one batch; forget what nobody reads any more."""
        node = self.graph.nodes[index]
        if self._needed[index]:
            operands = [self._operand(arrays, node, i) for i in range(len(node.inputs))]
            results = execute_node(self.graph, node, operands, sums=self.sums)
            arrays.update(zip(node.outputs, results, strict=True))
        for name in {*node.inputs, *node.outputs}:
            if self._last.get(name, -1) <= index:
                arrays.pop(name, None)

    def _operand(self, arrays: dict[str, Any], node: Node, i: int) -> NDArray[Any] | None:
        if (node.name, i) in self._weights:
            return self._weights[node.name, i]
        name = node.inputs[i]
        if not name:
            return None
        return arrays[name] if name in arrays else self.graph.constants[name]


def _parts(graph: Graph, batch: Batch) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield ``batch`` in parts of `SEQUENCES`, if there are sequences, as the executor does."""
    if not (has_batch(graph) and has_length(graph)):
        yield dict(batch)
        return
    for i in range(0, len(batch[graph.inputs[0]]), SEQUENCES):
        yield {name: array[i : i + SEQUENCES] for name, array in batch.items()}


def _threads(sums: str) -> int:
    """Return how many batches go at a time: one, where BLAS has the cores for itself."""
    cpus = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return 1 if sums == "blas" else min(_AT_ONCE, cpus)


def _plan(graph: Graph, stops: Collection[str]) -> tuple[list[bool], dict[str, int]]:
    """Return which nodes are executed, and the last index that reads each value."""
    wanted: set[str] = set()
    needed = [False] * len(graph.nodes)
    last: dict[str, int] = {}
    for i in reversed(range(len(graph.nodes))):
        node = graph.nodes[i]
        needed[i] = not wanted.isdisjoint(node.outputs)
        reads = set(node.inputs) if needed[i] else set()
        if node.name in stops:
            reads.add(node.inputs[0])
        wanted |= reads
        for name in reads:
            last.setdefault(name, i)
    return needed, last
