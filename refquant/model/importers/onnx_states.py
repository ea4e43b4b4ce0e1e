"""Streams: which values of an ONNX model are there again in the next run.

ONNX has no variables. A model of a stream takes what it kept as an input and gives it back as an
output, and whoever runs it feeds one into the other; or it is exported for whole recordings, and
its recurrent layers begin anew in each run. ::

    states = {"h": "hn"}   input h -> [ model ] -> output hn        the user names both
    streaming              LSTM(x, h = 0, c = 0) -> Y, Y_h, Y_c     h, c: states that nobody named

In the second form only layers that run forward go on: one that runs backward begins at the end of
the recording, which a stream has not got.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from refquant.model.graph import Graph, State
from refquant.model.importers.onnx_ends import without_unused
from refquant.model.importers.onnx_items import Filled, Known, Unsupported
from refquant.model.importers.onnx_model import OnnxGraph, OnnxNode
from refquant.model.importers.onnx_scope import Scope
from refquant.model.states import closed

__all__ = ["bind", "check_bound", "finished", "kept", "shown"]


def check_bound(graph: OnnxGraph, states: Mapping[str, str], fixed: Mapping[str, Any]) -> None:
    """Refuse ``states`` that do not bind an input to an output; `ValueError` names the names."""
    inputs = [i.name for i in graph.inputs if i.name not in fixed]
    for source, target in states.items():
        if source not in inputs:
            raise ValueError(f"states bind inputs, which are {inputs}, got {source!r}; name one")
        if target not in graph.outputs:
            raise ValueError(
                f"states bind {source!r} to one of the outputs {list(graph.outputs)}, got "
                f"{target!r}; name one"
            )


def shown(outputs: Sequence[str], states: Mapping[str, str]) -> list[str]:
    """Return the outputs that are more than what a state becomes; all, if none is.

    >>> shown(["y", "hn"], {"h": "hn"}), shown(["hn"], {"h": "hn"})
    (['y'], ['hn'])
    """
    return [name for name in outputs if name not in states.values()] or list(outputs)


def kept(s: Scope, node: OnnxNode, index: int, shape: tuple[int | str, ...]) -> str | None:
    """Return a new input for an initial state that is a constant; None where it is computed.

    ``shape``: that of the state in our order, the batch first. When the node is there `bind` says
    what it becomes.
    """
    initial = ""
    if s.has(node, index):
        item = s.item(node.inputs[index])
        if not isinstance(item, Known | Filled):
            return None
        if isinstance(item, Filled) and item.number != 0:
            raise Unsupported(f"input {index} is {item.number} everywhere; it is 0, or a value")
        if isinstance(item, Known) and item.array.any():
            turned = item.array if node.attributes.get("layout", 0) else item.array.swapaxes(0, 1)
            if turned.shape != tuple(1 if d == "N" else d for d in shape):
                raise Unsupported(f"input {index} is {list(item.array.shape)}, not of one sample")
            array = np.ascontiguousarray(turned, np.float32)
            initial = s.constant(f"{node.inputs[index]}/first", array)
    direction = node.attributes.get("direction", "forward")
    if direction != "forward":
        raise Unsupported(f"it runs {direction}, from an end that a stream has not got")
    name = f"{node.label}/{'hc'[index - 5]}"
    while name in s.b.values:
        name += "_"
    s.b.input(name, shape)
    s.states.append(State(name, name, "", initial))
    return name


def bind(s: Scope, ends: Mapping[str | None, str]) -> None:
    """Say what the inputs that `kept` made become, now that it is there."""
    s.states[:] = [replace(t, output=ends.get(t.input, t.output)) for t in s.states]


def finished(
    s: Scope, outputs: Sequence[str], bound: Mapping[str, str], meta: Mapping[str, Any]
) -> Graph:
    """Return the graph with its states.

    ``outputs`` are `shown`; they and what ``bound`` binds to are values of ours by these names.
    """
    if s.streaming and not s.states:
        raise ValueError(
            "no LSTM or GRU begins anew in each run, so there is nothing to keep; leave streaming "
            "away, or name states"
        )
    states = [State(name, name, target) for name, target in bound.items()] + s.states
    b = s.b
    like = Graph(
        b.name, tuple(b.inputs), tuple(outputs), dict(b.values), (), dict(b.constants), {}, {},
        tuple(states),
    )  # fmt: skip
    ends = dict.fromkeys([*outputs, *(state.output for state in states)])
    return closed(without_unused(b, list(ends), meta), like)
