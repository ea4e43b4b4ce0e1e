"""Two models with states, made comparable value by value.

Each model hears the whole recording by itself, and what its states are at each step becomes a part
of the data. Then both are pure functions (`refquant.model.states.opened`), whose samples are steps,
and whatever compares models compares these. A state that drifts is seen: it is the model's own, and
what it becomes is an output like others. ::

    x1 x2 x3 -> reference, in order -> its h0 h1 h2  _
    x1 x2 x3 -> test, in order      -> its h0 h1 h2  > side by side, as 3 samples of (x, h)
"""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import Graph
from refquant.model.states import opened
from refquant.model.stream import has_steps, in_order

__all__ = ["side_by_side"]

Arrays = Mapping[str, NDArray[Any]]


def side_by_side(
    graphs: tuple[Graph, Graph], inputs: tuple[Arrays, Arrays], *, sums: str
) -> tuple[tuple[Graph, Graph], tuple[Arrays, Arrays]]:
    """Return both graphs without states, and ``inputs`` (one recording) with what these are.

    What has no states is returned as it is. Steps of a graph without a batch keep their axis.

    >>> from refquant.model.build import Builder
    >>> from refquant.model.graph import State
    >>> b = Builder("sums")
    >>> total = b.node("Add", [b.input("x", ("N", 1)), b.input("before", ("N", 1))], name="total")
    >>> g = b.graph([total], states=[State("sum", "before", "total")])
    >>> x = {"x": np.array([[1], [2]], np.float32)}
    >>> side_by_side((g, g), (x, x), sums="ordered")[1][0]["before"].tolist()
    [[0.0], [1.0]]
    """
    pure, found = list[Graph](), list[Arrays]()
    for graph, recording in zip(graphs, inputs, strict=True):
        if not graph.states:
            pure.append(graph)
            found.append(recording)
            continue
        steps = list(in_order(graph, recording, sums=sums))
        pure.append(opened(graph))
        if has_steps(graph, recording):
            found.append({name: np.stack([step[name] for step in steps]) for name in steps[0]})
        else:
            found.append(steps[0])
    return (pure[0], pure[1]), (found[0], found[1])
