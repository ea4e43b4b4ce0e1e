"""Two graphs, the same data, value by value: what a node makes in one and in the other.

Both graphs are executed side by side. Whenever both have made a value that both know by name, the
pair is handed out and forgotten, so memory is that of the values which later nodes still read, not
of all values of a model::

    reference   conv1   relu1   conv2   add        the reference goes on until it has made a
    test        conv1        .  conv2   add        value that both have; then the test does
    pairs       conv1           conv2   add

Data are reals; a graph whose inputs or values are codes gets the codes, and gives back what they
mean. What means no reals (int32 sums, tokens) is no pair.

Samples go in pieces that no result depends on (`refquant.model.execute`): one at a time where
`DynamicQuantizeLinear` or `FakeQuantize` takes its range from all it is given, or where there are
sequences.
"""

import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from refquant.model.ends import from_outputs, to_inputs
from refquant.model.execute import CHUNK
from refquant.model.execute_node import execute_node
from refquant.model.graph import Graph, Node, has_batch, has_length
from refquant.model.validate_simulated import mixes_samples

__all__ = ["Arrays", "Step", "common_values", "made_by_both", "pairs", "pieces", "steps"]

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Step:
    """One node executed: what it ``made``, codes where these are codes, and the time it took."""

    node: Node
    made: dict[str, NDArray[Any]]
    seconds: float


def common_values(reference: Graph, test: Graph) -> list[str]:
    """Return the values that nodes of both make, of one shape, and that mean reals; in order.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> x = b.input("x", ("N", 2))
    >>> g = b.graph([b.node("Relu", [b.node("Sub", [x, x], name="d")], name="y")])
    >>> common_values(g, g)
    ['d', 'y']
    """
    return [
        name
        for name in made_by_both(reference, test)
        if _means_reals(reference, name) and _means_reals(test, name)
    ]


def made_by_both(reference: Graph, test: Graph) -> list[str]:
    """Return the values that nodes of both make, of one shape, whatever they mean; in order.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> made_by_both(g, g)
    ['y']
    """
    made = {name for node in test.nodes for name in node.outputs if name}
    return [
        name
        for node in reference.nodes
        for name in node.outputs
        if name in made and reference.values[name].shape == test.values[name].shape
    ]


def pieces(graphs: Sequence[Graph], inputs: Arrays) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield ``inputs`` in as many samples at a time as any of ``graphs`` may be given.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> [len(piece["x"]) for piece in pieces([g], {"x": np.zeros((300, 2), np.float32)})]
    [250, 50]
    """
    if not has_batch(graphs[0]):
        yield from _steps(graphs[0], inputs)
        return
    alone = any(
        has_length(graph)
        or any(node.op == "DynamicQuantizeLinear" or mixes_samples(node) for node in graph.nodes)
        for graph in graphs
    )
    step = 1 if alone else CHUNK
    for i in range(0, len(inputs[graphs[0].inputs[0]]), step):
        yield {name: array[i : i + step] for name, array in inputs.items()}


def _steps(graph: Graph, inputs: Arrays) -> Iterator[dict[str, NDArray[Any]]]:
    """Yield what a graph without a batch takes: all, or what lies along one axis more, in front."""
    longer = [name for name, a in inputs.items() if a.ndim == len(graph.values[name].shape) + 1]
    if not longer or len(longer) < len(inputs):
        yield dict(inputs)
        return
    for i in range(len(inputs[longer[0]])):
        yield {name: array[i] for name, array in inputs.items()}


def pairs(
    reference: Graph, test: Graph, inputs: Arrays, names: Collection[str], *, sums: str
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Yield (name, reference's, test's) reals of each value in ``names``, in the reference's order.

    ``inputs`` is one piece of data: reals (float32, or integers that are no codes).

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> [(n, r.tolist()) for n, r, t in pairs(g, g, {"x": np.float32([[1, -1]])}, "y",
    ...                                       sums="ordered")]
    [('y', [[1.0, 0.0]])]
    """
    other, early = _made(test, to_inputs(test, inputs), names, sums), dict[str, NDArray[Any]]()
    for name, array in _made(reference, to_inputs(reference, inputs), names, sums):
        while name not in early:
            found, made = next(other)
            early[found] = made
        yield name, array, early.pop(name)


def steps(graph: Graph, inputs: Arrays, *, sums: str) -> Iterator[Step]:
    """Execute ``graph`` node by node on one piece of data, as it takes them (codes, for codes).

    A value is forgotten after its last use; what is yielded is the caller's to keep.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> [step.made["y"].tolist() for step in steps(g, {"x": np.float32([[1, -1]])}, sums="ordered")]
    [[[1.0, 0.0]]]
    """
    arrays = _arrays(graph, inputs)
    last = {name: i for i, node in enumerate(graph.nodes) for name in node.inputs}
    for i, node in enumerate(graph.nodes):
        operands = [arrays[name] if name else None for name in node.inputs]
        begin = time.perf_counter()
        results = execute_node(graph, node, operands, sums=sums)
        seconds = time.perf_counter() - begin
        made = dict(zip(node.outputs, results, strict=True))
        for name, array in made.items():
            arrays[name] = array
        yield Step(node, made, seconds)
        for name in {*node.inputs, *node.outputs}:
            if name and name not in graph.constants and last.get(name, i) <= i:
                arrays.pop(name, None)


def _made(
    graph: Graph, inputs: Arrays, names: Collection[str], sums: str
) -> Iterator[tuple[str, NDArray[Any]]]:
    """Execute ``graph`` node by node; yield those of ``names`` in reals when they are made."""
    for step in steps(graph, inputs, sums=sums):
        for name, array in step.made.items():
            if name in names:
                yield name, from_outputs(graph, {name: array})[name]


def _arrays(graph: Graph, inputs: Arrays) -> dict[str, NDArray[Any]]:
    return {**graph.constants, **inputs}


def _means_reals(graph: Graph, name: str) -> bool:
    value = graph.values[name]
    return value.dtype == "float32" or value.quant is not None
