r"""Graphs with states, and the pure functions they are.

A graph with states is a function of its inputs and of what it kept, and gives what it keeps:

.. math::

    (y_t, s_{t+1}) = f(x_t, s_t), \qquad s_0 \text{ as the file says}                    \tag{1}

`opened` gives f itself, a graph without states, whose inputs are :math:`x` and :math:`s` and whose
outputs are :math:`y` and the next :math:`s`: whatever is rewritten is rewritten in this form, and
`closed` binds the ends together again. ::

    x ----> [     ] ----> y            x ----> [     ] ----> y
      +---> [  f  ] ----+              h ----> [  f  ] ----> hn
      |     [     ]     |                      [     ]
      +------- s <------+  closed                            opened

A run's samples (``"N"``) are, where there are states, successive steps of one stream: step t+1
begins with what step t left. So a state holds one sample.

Reference: docs/decisions/018-state.md.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.formats.affine import quantize
from refquant.model.graph import DTYPES, Graph, State
from refquant.model.params import qparams_of
from refquant.model.validate import validate

__all__ = ["checked_state", "closed", "free_inputs", "initial_state", "need_pure", "opened"]

Arrays = dict[str, NDArray[Any]]


def free_inputs(graph: Graph) -> tuple[str, ...]:
    """Return the inputs that no state is bound to.

    >>> from refquant.model.graph import Value
    >>> v = Value("float32", ("N", 2))
    >>> s = (State("s", "h", "x"),)
    >>> free_inputs(Graph("g", ("x", "h"), ("x",), {"x": v, "h": v}, (), {}, {}, {}, s))
    ('x',)
    """
    bound = {state.input for state in graph.states}
    return tuple(name for name in graph.inputs if name not in bound)


def opened(graph: Graph) -> Graph:
    """Return f of eq. (1): the same graph, its states inputs and outputs like any other.

    >>> from refquant.model.graph import Value
    >>> v = Value("float32", ("N", 2))
    >>> s = (State("s", "h", "x"),)
    >>> pure = opened(Graph("g", ("x", "h"), ("h",), {"x": v, "h": v}, (), {}, {}, {}, s))
    >>> pure.outputs, pure.states
    (('h', 'x'), ())
    """
    ends = dict.fromkeys([*graph.outputs, *(state.output for state in graph.states)])
    return replace(graph, outputs=tuple(ends), states=())


def need_pure(graph: Graph) -> None:
    """Refuse a graph with states: who rewrites it would take what they become for its own.

    >>> from refquant.model.graph import Value
    >>> v = Value("float32", ("N", 2))
    >>> s = (State("s", "h", "x"),)
    >>> need_pure(Graph("g", ("x", "h"), ("h",), {"x": v, "h": v}, (), {}, {}, {}, s))
    Traceback (most recent call last):
    ...
    ValueError: the graph has states ('s'); rewrite opened(graph), and bind the ends by closed
    """
    if graph.states:
        names = ", ".join(repr(state.name) for state in graph.states)
        raise ValueError(
            f"the graph has states ({names}); rewrite opened(graph), and bind the ends by closed"
        )


def closed(pure: Graph, like: Graph, *, contract: Contract | None = None) -> Graph:
    """Return ``pure``, made from ``opened(like)``, with the outputs and states of ``like``.

    Where a state has become codes, what it begins as is quantized by ``contract``. `ValueError`
    where the two ends of a state have become different things.

    >>> from refquant.model.graph import Value
    >>> v = Value("float32", ("N", 2))
    >>> s = (State("s", "h", "x"),)
    >>> g = Graph("g", ("x", "h"), ("h",), {"x": v, "h": v}, (), {}, {}, {}, s)
    >>> closed(opened(g), g) == g
    True
    """
    if not like.states:
        return pure
    values, constants, states = dict(pure.values), dict(pure.constants), []
    for state in like.states:
        name = state.initial
        if name:
            array = _beginning(pure, like, state, contract)
            while name in values and (
                name not in constants or constants[name].tobytes() != array.tobytes()
            ):
                name += "_"
            values[name] = replace(pure.values[state.input], shape=tuple(array.shape))
            constants[name] = array
        states.append(replace(state, initial=name))
    result = replace(
        pure, outputs=like.outputs, states=tuple(states), values=values, constants=constants
    )
    validate(result)
    return result


def _beginning(pure: Graph, like: Graph, state: State, contract: Contract | None) -> NDArray[Any]:
    """Return what a state of ``like`` begins as, in codes where it is of codes in ``pure`` only."""
    array, value = like.constants[state.initial], pure.values[state.input]
    if value.quant is None or like.values[state.initial].quant is not None:
        return array
    assert contract is not None, "whoever makes codes has a contract"
    container = DTYPES[value.dtype].container
    return quantize(array, qparams_of(pure, state.input), contract=contract).astype(container)


def initial_state(graph: Graph) -> Arrays:
    """Return what each state is before the first step: its array of one sample, by its name.

    >>> from refquant.model.graph import Quant, Value
    >>> v = Value("int8", ("N", 2), Quant(0.5, 3))
    >>> s = (State("s", "h", "x"),)
    >>> g = Graph("g", ("x", "h"), ("x",), {"x": v, "h": v}, (), {}, {}, {}, s)
    >>> initial_state(g)["s"].tolist()
    [[3, 3]]
    """
    return {state.name: _first(graph, state) for state in graph.states}


def _first(graph: Graph, state: State) -> NDArray[Any]:
    if state.initial:
        return graph.constants[state.initial].copy()
    value = graph.values[state.input]
    shape = tuple(1 if d == "N" else int(d) for d in value.shape)
    zero = 0 if value.quant is None else int(value.quant.zero_point)
    return np.full(shape, zero, DTYPES[value.dtype].container)


def checked_state(graph: Graph, state: Mapping[str, NDArray[Any]]) -> Arrays:
    """Return a copy of ``state``, all of it; `ValueError` names what is no state of the graph.

    NaN and infinities are what an input may be, too; they stay until they are reset.

    >>> from refquant.model.graph import Value
    >>> checked_state(Graph("g", (), (), {}, (), {}, {}, {}), {"h": np.zeros(2)})
    Traceback (most recent call last):
    ...
    ValueError: state must have exactly [], got ['h']; name them as graph.states does
    """
    first = initial_state(graph)
    if not isinstance(state, Mapping) or state.keys() != first.keys():
        got = str(sorted(map(str, state)) if isinstance(state, Mapping) else type(state).__name__)
        raise ValueError(
            f"state must have exactly {sorted(first)}, got {got}; name them as graph.states does"
        )
    for name, array in first.items():
        given = state[name]
        if not isinstance(given, np.ndarray) or given.dtype != array.dtype:
            got = str(given.dtype if isinstance(given, np.ndarray) else type(given).__name__)
            raise ValueError(f"state {name!r} must be an array of {array.dtype}, got {got}; "
                             "convert it")  # fmt: skip
        if given.shape != array.shape:
            raise ValueError(f"state {name!r} must have shape {list(array.shape)}, got "
                             f"{list(given.shape)}; reshape it")  # fmt: skip
    return {name: state[name].copy() for name in first}
