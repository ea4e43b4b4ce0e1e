"""What a session keeps between two runs: arrays outside of any plan, by the inputs they go to.

A plan knows no states: to it they are inputs and outputs like others (:func:`opened`). The session
copies in what it kept, runs, and keeps a copy of what came out, if nothing was wrong. So the memory
of a plan may be another one for each length of sequences, a run that fails changes nothing, and the
order of states does not matter: all are taken before one is given. What is kept is never written
to, only replaced.
"""

from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import InputError
from refquant_runtime.graph import Graph

__all__ = ["Kept", "checked_state", "copied", "initial_state", "opened", "unbound"]

Array = NDArray[Any]
Kept = Mapping[str, Array]


def opened(graph: Graph) -> Graph:
    """Return the graph with what its states become as outputs, and without states."""
    ends = dict.fromkeys([*graph.outputs, *(state.output for state in graph.states)])
    return replace(graph, outputs=tuple(ends), states=())


def unbound(graph: Graph, fed: Collection[str] = ()) -> list[str]:
    """Return the inputs without a state, and those with one that are ``fed`` all the same."""
    bound = {state.input for state in graph.states}.difference(fed)
    return [name for name in graph.inputs if name not in bound]


def initial_state(bound: Graph) -> Kept:
    """Return what each state begins as, by the input it goes to; ``bound``: N is 1."""
    kept = {}
    for state in bound.states:
        value = bound.values[state.input]
        if state.initial:
            data = bound.values[state.initial].data
            assert data is not None, "checked: a constant"
            kept[state.input] = data.reshape(value.shape).copy()
        else:
            zero = 0 if value.quant is None else int(value.quant.zero_point)
            kept[state.input] = np.full(value.shape, zero, value.dtype)
    return kept


def checked_state(path: Path, graph: Graph, first: Kept, state: Any) -> Kept:
    """Return copies of the arrays in ``state``, one for each state, or raise ``InputError``.

    NaN and infinities are taken, as in an input; they stay until a reset.

    >>> g = Graph(Path("m.rq"), "g", (), (), {}, (), {}, {}, "", 0)
    >>> checked_state(Path("m.rq"), g, {}, {"h": 1})
    Traceback (most recent call last):
    refquant_runtime.errors.InputError: m.rq: states are [], got ['h']; pass a dict with one array \
for each of them
    """
    names = {item.name: item.input for item in graph.states}
    if not isinstance(state, Mapping) or set(state) != names.keys():
        got = sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__
        raise InputError(
            f"{path}: states are {list(names)}, got {got}; pass a dict with one array for each of "
            "them"
        )
    for name, place in names.items():
        array, expected = state[name], first[place]
        kind = array.dtype if isinstance(array, np.ndarray) else type(array).__name__
        if kind != expected.dtype or isinstance(array, np.ma.MaskedArray):
            raise InputError(
                f"{path}: state {name!r} must be an array of {expected.dtype}, got {kind}; convert "
                f"it with numpy.asarray(x, {expected.dtype.name!r})"
            )
        if array.shape != expected.shape:
            raise InputError(
                f"{path}: state {name!r} must have shape {list(expected.shape)}, got "
                f"{list(array.shape)}; reshape it"
            )
    return {place: np.array(state[name], order="C") for name, place in names.items()}


def copied(array: Array) -> Array:
    """Return a copy that cannot be written to: it would change nothing.

    >>> copied(np.zeros(1)).flags.writeable
    False
    """
    copy = array.copy()
    copy.flags.writeable = False
    return copy
