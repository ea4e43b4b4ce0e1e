"""Two models executed side by side, and every value handed out that both know by name.

As `refquant.evaluation.walk.pairs` does, but nothing is turned into reals, integers that are no
codes are pairs, too, and somebody may watch each node pass by::

    reference   conv1   relu1   conv2   add        the reference goes on until it has made a
    test        conv1        .  conv2   add        value that both have; then the test does
    watched     1 1     1       1 1     1 1
"""

from collections.abc import Callable, Iterator
from typing import Any

from numpy.typing import NDArray

from refquant.evaluation.walk import Arrays, Step, made_by_both, pieces, steps
from refquant.model.graph import DTYPES, Graph

__all__ = ["Pair", "comparable", "lockstep", "paired_pieces"]

Pair = tuple[Graph, Graph]


def comparable(graphs: Pair) -> list[str]:
    """Return the values that nodes of both make, of one shape, in the order of the first.

    Plain integers (sums, tokens) go with plain integers; all else means reals.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> comparable((g, g))
    ['y']
    """
    reference, test = graphs
    return [
        name
        for name in made_by_both(reference, test)
        if _plain_integer(reference, name) == _plain_integer(test, name)
    ]


def paired_pieces(
    graphs: Pair, inputs: tuple[Arrays, Arrays]
) -> list[tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]]:
    """Return the data of both, as each takes them, in pieces that no result of either depends on.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> x = {"x": np.zeros((300, 2), np.float32)}
    >>> [len(r["x"]) for r, _ in paired_pieces((g, g), (x, x))]
    [250, 50]
    """
    both = [list(pieces([graphs[i], graphs[1 - i]], inputs[i])) for i in (0, 1)]
    if len(both[0]) != len(both[1]):  # one has a batch, the other a fixed size: all at once
        return [(dict(inputs[0]), dict(inputs[1]))]
    return list(zip(*both, strict=True))


def lockstep(
    graphs: Pair,
    inputs: tuple[Arrays, Arrays],
    names: frozenset[str],
    *,
    sums: str,
    see: Callable[[int, Step], None] = lambda which, step: None,
) -> Iterator[tuple[str, NDArray[Any], NDArray[Any]]]:
    """Yield (name, reference's, test's) of each value in ``names``, codes where they are codes.

    ``inputs``: one piece, as each graph takes it. ``see(which, step)`` for every node of graph 0
    and 1, to the end of both.

    >>> import numpy as np
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> x = {"x": np.float32([[1, -1]])}
    >>> [name for name, _, _ in lockstep((g, g), (x, x), frozenset("y"), sums="ordered")]
    ['y']
    """
    other = steps(graphs[1], inputs[1], sums=sums)
    early: dict[str, NDArray[Any]] = {}
    for step in steps(graphs[0], inputs[0], sums=sums):
        see(0, step)
        for name, array in step.made.items():
            if name not in names:
                continue
            while name not in early:
                found = next(other)
                see(1, found)
                early.update({n: a for n, a in found.made.items() if n in names})
            yield name, array, early.pop(name)
    for found in other:
        see(1, found)


def _plain_integer(graph: Graph, name: str) -> bool:
    value = graph.values[name]
    return value.quant is None and DTYPES[value.dtype].container.kind in "iu"
