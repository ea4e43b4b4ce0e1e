"""Variables: VAR_HANDLE, READ_VARIABLE, ASSIGN_VARIABLE and CALL_ONCE become states.

A streaming model keeps what it heard in variables. An operator reads one, others compute what it is
to be, another assigns it; a subgraph that is called once says what it is at first::

    CALL_ONCE -> subgraph 1: ASSIGN(v, 0)                       initial
    v = READ(v) -> CONCAT(v, x) -> SLICE -> ASSIGN(v)           input -> ... -> output

In a graph all of this is one `State`: an input that READ gives, and the value that the last ASSIGN
takes. What is read behind an ASSIGN is what was assigned; a variable that no operator assigns is a
constant; one that is assigned before it is read is no state at all.

What LiteRT 2.3.0 does, as measured (``tests/outsiders/test_litert_variables.py``): a variable that
is read though nothing was ever put in it is, by XNNPACK, what the memory happens to hold, and an
error elsewhere, so it is refused here. ``reset_all_variables`` leaves these variables as they are
(it is for tensors that are variables themselves, as SVDF has them); only a new interpreter begins
anew. ``Session.reset`` does.

Left out: subgraphs that compute what a variable is at first; variables that change their shape.

References: LiteRT ``kernels/read_variable.cc``, ``kernels/assign_variable.cc``.
"""

from collections.abc import Mapping

import numpy as np

from refquant.model.graph import Graph, State
from refquant.model.importers.tflite_model import (
    TfliteModel,
    TfliteOperator,
    TfliteTensor,
    UnsupportedError,
)
from refquant.model.importers.tflite_prune import prune
from refquant.model.importers.tflite_scope import AS_IS, FIRST, Scope
from refquant.model.states import closed

__all__ = ["assign_variable", "call_once", "read_variable", "streamed", "var_handle"]


def var_handle(s: Scope, o: TfliteOperator) -> None:
    """VAR_HANDLE names a variable; whoever takes the handle asks for the name."""


def _handles(model: TfliteModel) -> dict[int, str]:
    """Return the tensors that are handles, and the names of their variables."""
    found = {}
    for operator in model.operators:
        if operator.op == "VAR_HANDLE":
            names = (str(operator.options.get(key) or "") for key in ("Container", "SharedName"))
            found[operator.outputs[0]] = "/".join(filter(None, names))
    return found


def _name(handles: Mapping[int, str], handle: int) -> str:
    if handle not in handles:
        raise UnsupportedError("takes a handle that VAR_HANDLE has not made")
    return handles[handle]


def _survey(s: Scope) -> Mapping[int, str]:
    """Return the handles of the model; look for them, and for what is assigned, once."""
    if s.handles is None:
        s.handles = _handles(s.model)
        s.assigned = {
            s.handles[o.inputs[0]]
            for o in s.model.operators
            if o.op == "ASSIGN_VARIABLE" and o.inputs and o.inputs[0] in s.handles
        }
    return s.handles


def call_once(s: Scope, o: TfliteOperator) -> None:
    """CALL_ONCE: what its subgraph assigns is what variables are at first."""
    if s.brought or s.now:
        raise UnsupportedError("comes after a variable was used")
    index = o.options["InitSubgraphIndex"]
    assert isinstance(index, int), "a number"
    model = s.model.once[index]
    handles = _handles(model)
    for operator in model.operators:
        if operator.op == "VAR_HANDLE":
            continue
        if operator.op != "ASSIGN_VARIABLE" or len(operator.inputs) != 2:
            raise UnsupportedError(f"calls a subgraph with {operator.op}, not constants only")
        tensor = model.tensors[operator.inputs[1]]
        if tensor.data is None or tensor.special:
            raise UnsupportedError("calls a subgraph that assigns what is no constant")
        s.first[_name(handles, operator.inputs[0])] = tensor


def read_variable(s: Scope, o: TfliteOperator) -> None:
    """READ_VARIABLE: what was assigned before, in this run or in the one before."""
    name, made = _name(_survey(s), o.inputs[0]), s.tensor(o.outputs[0])
    if name in s.now:
        _alias(s, s.now[name], made.index, name)
        return
    if name in s.brought:
        _alias(s, s.brought[name], made.index, name)
        return
    if name not in s.first:
        raise UnsupportedError(f"reads the variable {name!r}, and nothing has been put in it")
    _need_same(name, s.first[name], made)
    if name not in s.assigned:
        array = s.first[name].data
        assert array is not None, "call_once: a constant"
        s.folded[made.index] = array
        return
    quant = s.quant(made.index)
    s.brought[name] = made.index
    s.names[made.index, AS_IS] = s.builder.input(
        s.free(name or "variable"), s.shape(made.index), dtype=made.dtype, quant=quant
    )


def assign_variable(s: Scope, o: TfliteOperator) -> None:
    """ASSIGN_VARIABLE: from here on, and in the next run, the variable is this tensor."""
    name, value = _name(_survey(s), o.inputs[0]), s.tensor(o.inputs[1])
    if name in s.brought:
        _need_same(name, s.tensor(s.brought[name]), value)
    s.now[name] = value.index


def _alias(s: Scope, source: int, made: int, name: str) -> None:
    """Let the tensor ``made`` be what ``source`` is, in whatever order that is there."""
    _need_same(name, s.tensor(source), s.tensor(made))
    constant = s.constant(source)
    if constant is not None:
        s.folded[made] = constant
        return
    for order in (AS_IS, FIRST):
        if (source, order) in s.names:
            s.names[made, order] = s.names[source, order]


def _need_same(name: str, one: TfliteTensor, other: TfliteTensor) -> None:
    """Refuse a variable that is of one kind here and of another there; codes may say no scale."""
    scales = [(t.scale.tolist(), t.zero_point.tolist()) for t in (one, other) if t.quantized]
    if one.dtype != other.dtype or one.shape != other.shape or scales[:1] != scales[-1:]:
        raise UnsupportedError(
            f"has the variable {name!r} as {one.dtype} {list(one.shape)} and as {other.dtype} "
            f"{list(other.shape)}, or with other scales"
        )


def streamed(s: Scope, outputs: list[str], meta: dict[str, str]) -> Graph:
    """Return the graph with these ``outputs`` and a state for each variable that it brings."""
    states = [_state(s, name) for name in s.brought]
    b = s.builder
    like = Graph(
        b.name, tuple(b.inputs), tuple(outputs), dict(b.values), (), dict(b.constants), {}, {},
        tuple(states),
    )  # fmt: skip
    ends = dict.fromkeys([*outputs, *(state.output for state in states)])
    return closed(prune(b, list(ends), meta), like)


def _state(s: Scope, name: str) -> State:
    source, target = s.names[s.brought[name], AS_IS], s.now[name]
    value, first = s.builder.values[source], s.first[name].data
    assert first is not None, "call_once: a constant"
    output = s.read(target)
    if s.constant(target) is not None:  # the same in every run but the first
        output = s.builder.node("Identity", [output], name=s.free(f"{source}/next"))
    zero = 0 if value.quant is None else value.quant.zero_point
    initial, silent = "", np.full(first.shape, zero, first.dtype)
    if first.tobytes() != silent.tobytes():  # -0.0 is no 0.0
        initial = s.hold(s.free(f"{source}/first"), first, dtype=value.dtype, quant=value.quant)
    return State(source, source, output, initial)
