"""Two models on the same data, value by value: where they part, how far, and how long it takes.

The table of `refquant.evaluation.layers` asks how good a model is, and refuses what has no number.
This one looks for a fault, and takes everything (`refquant.evaluation.difference`): ::

    value    differ     first difference            SQNR dB   adds     codes
    conv1    0 of 512                               inf       0        0
    conv2    3 of 512   sample 4 [7, 0]: 1 and 2    41        0.01 %   1      <- first divergence
    exp      9 of 512   sample 0 [1, 1]: inf and 8  nan       inf      -

What a node adds is eq. (1) of `refquant.evaluation.layers`, infinite where only one side is a
number. Times are those of this executor, which is slow by design: they say where the arithmetic is,
not what a runtime would need.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.channels import channel_axes
from refquant.evaluation.difference import Difference, difference, pooled_difference
from refquant.evaluation.layers import with_steps
from refquant.evaluation.lockstep import Pair, comparable, lockstep, paired_pieces
from refquant.evaluation.walk import Arrays, Step
from refquant.model.graph import Graph, has_batch

__all__ = ["Trace", "Traced", "below", "first_divergence", "slowest", "trace", "worst"]


@dataclass(frozen=True, slots=True)
class Traced:
    """One ``value``, made by an operator ``op`` of the reference: how it differs, what it adds.

    ``adds`` is None of plain integers, and behind infinite noise.
    """

    value: str
    op: str
    difference: Difference
    adds: float | None

    @property
    def sqnr_db(self) -> float | None:
        """The SQNR in dB; None of plain integers, NaN where one side alone is not finite.

        >>> Traced("y", "Relu", Difference(1, 0, None, None, 0, (0, 0), ((0, 0),) * 2, None), None
        ...        ).sqnr_db is None
        True
        """
        return None if self.difference.errors is None else self.difference.errors.sqnr_db


@dataclass(frozen=True, slots=True)
class Trace:
    """What was seen: values in order; of each model the kept values, and the seconds of its nodes.

    ``kept`` has the values that were asked for, over all samples, as the model makes them.
    """

    values: tuple[Traced, ...]
    kept: tuple[Mapping[str, NDArray[Any]], Mapping[str, NDArray[Any]]]
    seconds: tuple[Mapping[str, float], Mapping[str, float]]


def trace(
    graphs: Pair,
    inputs: tuple[Arrays, Arrays],
    *,
    keep: tuple[frozenset[str], frozenset[str]],
    sums: str,
    advance: Callable[[int], None] = lambda done: None,
) -> Trace:
    """Return what both graphs make of the same data, each with ``inputs`` as it takes them.

    At least one sample. ``keep``: values of each graph to return whole. ``advance(n)`` after n
    pieces of data.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> x = {"x": np.float32([[1, -1]])}
    >>> found = trace((g, g), (x, x), keep=(frozenset("y"), frozenset()), sums="ordered")
    >>> found.values[0].difference.differing, found.kept[0]["y"].tolist()
    (0, [[1.0, 0.0]])
    """
    axes, watches = channel_axes(graphs[0]), [_Watch(graphs[i], keep[i]) for i in (0, 1)]
    found: dict[str, list[Difference]] = {name: [] for name in comparable(graphs)}
    begin = 0
    for pair in paired_pieces(graphs, inputs):
        walk = lockstep(
            graphs, pair, frozenset(found), sums=sums, see=lambda i, step: watches[i].see(step)
        )
        for name, r, t in walk:
            found[name].append(difference(graphs, name, r, t, axis=axes.get(name), begin=begin))
        samples = len(pair[0][graphs[0].inputs[0]]) if graphs[0].inputs else 1
        begin += samples
        advance(samples)
    whole = {name: pooled_difference(parts) for name, parts in found.items()}
    kept = (watches[0].whole(inputs[0]), watches[1].whole(inputs[1]))
    return Trace(_traced(graphs[0], whole), kept, (watches[0].seconds, watches[1].seconds))


def first_divergence(found: Trace) -> Traced | None:
    """Return the first value of which any element differs; None where all are the same.

    >>> first_divergence(Trace((), ({}, {}), ({}, {}))) is None
    True
    """
    return next((each for each in found.values if each.difference.differing), None)


def below(found: Trace, sqnr_db: float) -> Traced | None:
    """Return the first value with an SQNR below ``sqnr_db``, or with none for lack of numbers.

    >>> below(Trace((), ({}, {}), ({}, {})), 20.0) is None
    True
    """
    return next((each for each in found.values if _low(each.sqnr_db) < sqnr_db), None)


def worst(found: Trace, count: int) -> list[Traced]:
    """Return at most ``count`` values whose nodes add most noise, most first; none that adds none.

    >>> worst(Trace((), ({}, {}), ({}, {})), 5)
    []
    """
    adding = [each for each in found.values if each.adds is not None and each.adds > 0]
    return sorted(adding, key=lambda each: -(each.adds or 0.0))[:count]


def slowest(seconds: Mapping[str, float], count: int) -> list[tuple[str, float]]:
    """Return at most ``count`` nodes that took longest, and their seconds.

    >>> slowest({"a": 0.1, "b": 0.3}, 1)
    [('b', 0.3)]
    """
    return sorted(seconds.items(), key=lambda item: -item[1])[:count]


@dataclass(slots=True)
class _Watch:
    """What is remembered of one graph while its nodes pass by."""

    graph: Graph
    keep: frozenset[str]
    seconds: dict[str, float] = field(default_factory=dict)
    parts: dict[str, list[NDArray[Any]]] = field(default_factory=dict)

    def see(self, step: Step) -> None:
        name = step.node.name
        self.seconds[name] = self.seconds.get(name, 0.0) + step.seconds
        for value in self.keep.intersection(step.made):
            self.parts.setdefault(value, []).append(step.made[value])

    def whole(self, inputs: Arrays) -> dict[str, NDArray[Any]]:
        """Return what was kept, over all samples; an output may be an input or a constant."""
        given = {**self.graph.constants, **inputs}
        found = {name: self._join(name, parts) for name, parts in self.parts.items()}
        return found | {name: given[name] for name in self.keep - found.keys()}

    def _join(self, name: str, parts: list[NDArray[Any]]) -> NDArray[Any]:
        if self.graph.values[name].shape[:1] == ("N",):
            return np.concatenate(parts)
        of_its_own = any(  # a sample has a range of its own, and comes alone
            name in node.outputs[1:]
            for node in self.graph.nodes
            if node.op == "DynamicQuantizeLinear"
        )
        steps = len(parts) > 1 and not has_batch(self.graph)  # of a stream: one axis more
        return np.stack(parts) if of_its_own or steps else parts[0]


def _traced(graph: Graph, found: Mapping[str, Difference]) -> tuple[Traced, ...]:
    """Return the values in order, with what each adds."""
    # Errors without a number are infinite noise there: what reads them adds nothing more.
    errors = {name: d.errors for name, d in found.items() if d.errors is not None}
    adds = {layer.value: layer.adds for layer in with_steps(graph, errors)}
    ops = {name: node.op for node in graph.nodes for name in node.outputs}
    return tuple(
        Traced(name, ops[name], d, None if math.isnan(adds.get(name, math.nan)) else adds[name])
        for name, d in found.items()
    )


def _low(sqnr_db: float | None) -> float:
    if sqnr_db is None:
        return math.inf
    return -math.inf if math.isnan(sqnr_db) else sqnr_db
