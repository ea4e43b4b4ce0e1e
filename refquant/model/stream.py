"""A stream: a graph with states, fed a piece at a time, by the golden reference.

What was heard before changes what is heard now. A `Stream` is the one thing here that remembers:
`Stream.run` is `refquant.model.execute.advance` from the state it has, which is then the new one.

::

    x1 --> run --> y1      state: s0 -> s1
    x2 --> run --> y2             s1 -> s2         run(x1, x2 in one call): the same bits

`run_in_order` is for models that are not streams of samples but must be measured as one: it adds to
data the state that each step begins with. Then the graph's pure form (`opened`) can be run on the
steps in any order, as calibration and comparison do.
"""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from refquant.model.execute import advance
from refquant.model.graph import Graph
from refquant.model.states import checked_state, free_inputs, initial_state

__all__ = ["Stream", "run_in_order"]

Arrays = dict[str, NDArray[Any]]


class Stream:
    """A valid ``graph`` and its state; ``sums`` as in `refquant.model.execute.run`.

    >>> import numpy as np
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


def run_in_order(
    graph: Graph, inputs: Mapping[str, NDArray[Any]], state: Mapping[str, NDArray[Any]], *,
    sums: str = "ordered",
) -> tuple[Arrays, Arrays]:  # fmt: skip
    """Return ``inputs`` with those of the states as each step finds them, and the last state.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import State
    >>> b = Builder("sums")
    >>> total = b.node("Add", [b.input("x", ("N", 1)), b.input("before", ("N", 1))], name="total")
    >>> g = b.graph([total], states=[State("sum", "before", "total")])
    >>> x = np.array([[1], [2], [3]], np.float32)
    >>> run_in_order(g, {"x": x}, {"sum": np.zeros((1, 1), np.float32)})[0]["before"].tolist()
    [[0.0], [1.0], [3.0]]
    """
    free = {name: inputs[name] for name in free_inputs(graph)}
    bound = [item.input for item in graph.states]
    made, last = advance(graph, free, state, keep=bound, sums=sums)
    return {**free, **{name: made[name] for name in bound}}, last
