"""Which states mean something: docs/spec/rq-format.md, section 2, STATE.

A state is an input of the graph that takes, run after run, what a value of the run before was. So
both are the same kind of thing: one dtype, one shape, one meaning of codes; and what it is at first
is a constant of that kind, of one sample.
"""

from refquant.model.graph import Graph, State, Value

__all__ = ["check_states"]


def check_states(graph: Graph) -> None:
    """Raise `ValueError` for the first state that means nothing; it names the state and the rule.

    >>> x = Value("float32", ("N", 2))
    >>> check_states(Graph("g", ("x",), ("x",), {"x": x}, (), {}, {}, {}, (State("h", "x", "x"),)))
    Traceback (most recent call last):
    ...
    ValueError: state 'h': 'x' would stay what it is for ever; make it a constant
    """
    made = {*graph.inputs, *(name for node in graph.nodes for name in node.outputs)}
    names, bound = set[str](), set[str]()
    for state in graph.states:
        where = f"state {state.name!r}"
        if not state.name or state.name in names:
            raise ValueError(f"{where}: a state's name is unique and not empty; rename it")
        if state.input not in graph.inputs:
            raise ValueError(f"{where}: {state.input!r} is no input of the graph; name one")
        if state.input in bound:
            raise ValueError(f"{where}: the input {state.input!r} has a state already; remove one")
        if state.output not in made:
            raise ValueError(f"{where}: {state.output!r} is neither an input nor made by a node; "
                             "name a value that a run makes")  # fmt: skip
        if state.output == state.input:
            raise ValueError(
                f"{where}: {state.input!r} would stay what it is for ever; make it a constant"
            )
        names.add(state.name)
        bound.add(state.input)
        _check_kinds(graph, state, where)


def _check_kinds(graph: Graph, state: State, where: str) -> None:
    before, after = graph.values[state.input], graph.values[state.output]
    if "T" in before.shape:
        raise ValueError(
            f"{where}: {state.input!r} is {_kind(before)}; a state has one size, not the length of "
            "a run: give it numbers"
        )
    if before != after:
        raise ValueError(
            f"{where}: {state.input!r} is {_kind(before)}, {state.output!r} is {_kind(after)}; "
            "make them one dtype, shape, scale and zero point"
        )
    if not state.initial:
        return
    if state.initial not in graph.constants:
        raise ValueError(f"{where}: it begins as {state.initial!r}, which is no constant; add it")
    first = graph.values[state.initial]
    sample = tuple(1 if d == "N" else d for d in before.shape)
    if first != Value(before.dtype, sample, before.quant):
        raise ValueError(
            f"{where}: {state.input!r} is {_kind(before)}, but it begins as {state.initial!r}, "
            f"{_kind(first)}; give one sample of the same kind"
        )


def _kind(value: Value) -> str:
    shape = ", ".join(map(str, value.shape))
    if value.quant is None:
        return f"{value.dtype} [{shape}]"
    return (
        f"{value.dtype} [{shape}] of scale {value.quant.scale} and zero point "
        f"{value.quant.zero_point}"
    )
