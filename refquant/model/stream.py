"""A stream: a graph with states, fed a piece at a time, by the golden reference.

What was heard before changes what is heard now. A `Stream` is the one thing here that remembers:
`Stream.run` is `refquant.model.execute.advance` from the state it has, which is then the new one.

::

    x1 --> run --> y1      state: s0 -> s1
    x2 --> run --> y2             s1 -> s2         run(x1, x2 in one call): the same bits

Data that are no stream any more: `in_order` adds to recordings the state that each of their steps
begins with, as this graph, which is a float one mostly, finds it. Then the graph's pure form
(`refquant.model.states.opened`) can be run on the steps in any order; so calibration and comparison
see each step as it is in a stream, and need not know of streams.
"""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.execute import advance
from refquant.model.graph import Graph, has_batch
from refquant.model.states import checked_state, free_inputs, initial_state

__all__ = ["Stream", "has_steps", "in_order", "pieces"]

Arrays = dict[str, NDArray[Any]]


class Stream:
    """A valid ``graph`` and its state; ``sums`` as in `refquant.model.execute.run`.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import State
    >>> b = Builder("sums")
    >>> total = b.node("Add", [b.input("x", ("N", 1)), b.input("before", ("N", 1))], name="total")
    >>> stream = Stream(b.graph([total], states=[State("sum", "before", "total")]))
    >>> [stream.run({"x": np.array([[x]], np.float32)})["total"].tolist() for x in (1, 2)]
    [[[1.0]], [[3.0]]]
    >>> stream.reset()
    >>> stream.state["sum"].tolist()
    [[0.0]]
    """

    def __init__(self, graph: Graph, *, sums: str = "ordered") -> None:
        """Begin as the file says."""
        self.graph, self.sums = graph, sums
        self._state = initial_state(graph)

    @property
    def state(self) -> Arrays:
        """The state between two runs: copies, by name; may be set."""
        return {name: array.copy() for name, array in self._state.items()}

    @state.setter
    def state(self, state: Mapping[str, NDArray[Any]]) -> None:
        self._state = checked_state(self.graph, state)

    def reset(self) -> None:
        """Begin anew."""
        self._state = initial_state(self.graph)

    def run(self, inputs: Mapping[str, NDArray[Any]]) -> Arrays:
        """Return the outputs; N samples are N steps. After an error the state is what it was."""
        outputs, self._state = advance(self.graph, inputs, self._state, sums=self.sums)
        return outputs


def has_steps(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> bool:
    """Say whether arrays for a graph with states, but without a batch, have an axis of steps.

    It is one more than the inputs have, in front. With a batch the samples are the steps.

    >>> from refquant.model.graph import State, Value
    >>> v, s = Value("float32", (1, 2)), (State("h", "h", "x"),)
    >>> g = Graph("g", ("x", "h"), ("h",), {"x": v, "h": v}, (), {}, {}, {}, s)
    >>> has_steps(g, {"x": np.zeros((9, 1, 2))}), has_steps(g, {"x": np.zeros((1, 2))})
    (True, False)
    """
    names = free_inputs(graph)
    if not graph.states or has_batch(graph) or not names:
        return False
    return all(np.ndim(inputs[name]) == len(graph.values[name].shape) + 1 for name in names)


def pieces(graph: Graph, inputs: Mapping[str, NDArray[Any]]) -> Iterator[Arrays]:
    """Yield a recording as `advance` takes it: whole, or a step at a time (`has_steps`).

    >>> from refquant.model.graph import State, Value
    >>> v, s = Value("float32", (1, 2)), (State("h", "h", "x"),)
    >>> g = Graph("g", ("x", "h"), ("h",), {"x": v, "h": v}, (), {}, {}, {}, s)
    >>> [piece["x"].shape for piece in pieces(g, {"x": np.zeros((2, 1, 2))})]
    [(1, 2), (1, 2)]
    """
    free = {name: inputs[name] for name in free_inputs(graph)}
    if not has_steps(graph, free):
        yield free
        return
    counts = {len(array) for array in free.values()}
    if len(counts) > 1:
        raise ValueError(f"inputs have different numbers of steps {sorted(counts)}; make them one")
    for i in range(counts.pop()):
        yield {name: array[i] for name, array in free.items()}


def in_order(
    graph: Graph,
    recordings: Mapping[str, NDArray[Any]] | Iterable[Mapping[str, NDArray[Any]]],
    *,
    sums: str = "ordered",
) -> Iterator[Arrays]:
    """Yield data for ``opened(graph)``: ``recordings``, and what the states are at each step.

    Each dict is a recording, and begins anew. `ValueError` as `refquant.model.execute.advance`.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import State
    >>> b = Builder("sums")
    >>> total = b.node("Add", [b.input("x", ("N", 1)), b.input("before", ("N", 1))], name="total")
    >>> g = b.graph([total], states=[State("sum", "before", "total")])
    >>> x = np.array([[1], [2], [3]], np.float32)
    >>> [batch["before"].tolist() for batch in in_order(g, [{"x": x}, {"x": x[:1]}])]
    [[[0.0], [1.0], [3.0]], [[0.0]]]
    """
    names, bound = free_inputs(graph), [state.input for state in graph.states]
    for recording in [recordings] if isinstance(recordings, Mapping) else recordings:
        if not isinstance(recording, Mapping) or set(recording) != set(names):
            got = sorted(recording) if isinstance(recording, Mapping) else type(recording).__name__
            raise ValueError(
                f"a recording must have an array for each of the inputs {sorted(names)}, got "
                f"{got}; rename its arrays"
            )
        now = initial_state(graph)
        for piece in pieces(graph, recording):
            made, now = advance(graph, piece, now, keep=bound, sums=sums)
            yield {**piece, **{name: made[name] for name in bound}}
