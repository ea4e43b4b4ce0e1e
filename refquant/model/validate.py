"""Which graphs mean something: docs/spec/rq-format.md, sections 2 to 4.

One call, `validate`, for whoever makes a graph (builder, quantizer), writes one or reads one.
It checks names and order, then every value (`validate_quant`), then every node
(`validate_nodes`: shapes and dtypes; `validate_integer`: contracts, and that no int32 accumulator
can overflow). After it, nothing that executes the graph checks anything again.

Here: names, constants, the order of nodes, the batch, the length of sequences.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.graph import DTYPES, Graph, Node, Value, dependents, has_batch, has_length
from refquant.model.rq_container import short
from refquant.model.rq_json import JsonError, check_json
from refquant.model.shapes import check_size
from refquant.model.validate_nodes import check_node
from refquant.model.validate_quant import check_quant, may_be_negative
from refquant.model.validate_states import check_states

__all__ = ["GraphError", "constant_shape", "validate"]

_BIASED = ("Conv", "ConvTranspose", "Gemm", "MatMul")  # their third input


class GraphError(ValueError):
    """The graph means nothing; the message names the value or node, the rule and the remedy."""


def validate(graph: Graph) -> None:
    """Raise `GraphError` unless ``graph`` is one that can be executed and written.

    >>> from refquant.model.graph import Value
    >>> x = Value("float32", ("N", 2))
    >>> validate(Graph("g", ("x",), ("y",), {"x": x}, (), {}, {}, {}))
    Traceback (most recent call last):
    ...
    refquant.model.validate.GraphError: output 'y' is neither an input nor produced by a node
    """
    try:
        _check_texts(graph)
        for name, value in graph.values.items():
            _check_value(graph, name, value)
        _check_order(graph)
        negative = may_be_negative(graph)
        for name in graph.values:
            check_quant(graph, name, negative=negative)
        _check_long(graph)
        for node in graph.nodes:
            _check_node(graph, node)
        check_states(graph)
        _check_batch(graph)
    except GraphError:
        raise
    except ValueError as error:
        raise GraphError(str(error)) from error


def constant_shape(name: str, value: Value) -> tuple[int, ...]:
    """Return the shape of the constant ``name`` as integers; its dtype is known."""
    if value.dtype not in DTYPES:
        raise GraphError(f"value {name!r}: dtype is one of {list(DTYPES)}, got {value.dtype!r}")
    if not all(type(d) is int and d >= 0 for d in value.shape):
        raise GraphError(
            f"constant {name!r}: shape is integers >= 0, got {short(list(value.shape))}"
        )
    check_size(f"value {name!r}", value.shape)
    return tuple(d for d in value.shape if isinstance(d, int))


def _check_texts(graph: Graph) -> None:
    texts = [graph.name, *graph.values, *graph.contracts, *graph.constants]
    texts += [state.name for state in graph.states]
    for node in graph.nodes:
        texts += [node.name, *(v for v in node.attributes.values() if isinstance(v, str))]
    try:
        check_json(texts)
        check_json(dict(graph.meta))
    except JsonError as error:
        raise GraphError(f"names and meta can be written as JSON: {error}") from error
    for name, contract in graph.contracts.items():
        if contract.name != name:
            raise GraphError(f"contracts[{name!r}] is called {contract.name!r}; use one name")
        if contract.zero_point in ("float", "offset"):
            raise GraphError(
                f"contracts[{name!r}] has zero points that are no integers (zero_point "
                f"{contract.zero_point!r}); a model has integers only, use another contract"
            )


def _check_value(graph: Graph, name: str, value: Value) -> None:
    where = f"value {name!r}"
    if not name:
        raise GraphError("a value's name is not empty; name it")
    if name in graph.constants:
        _check_constant(name, value, graph.constants[name])
        return
    own = value.shape[1:] if _batched(value) else value.shape
    constant_shape(name, Value(value.dtype, tuple(1 if d == "T" else d for d in own)))
    if DTYPES[value.dtype].bits < 8:
        raise GraphError(f"{where}: {value.dtype} is for constants only; use int8 or uint8")
    if value.quant is not None and (
        isinstance(value.quant.scale, str) or isinstance(value.quant.zero_point, str)
    ):
        raise GraphError(
            f"{where}: only constants may have tensors in quant; use one scale and zero point"
        )


def _check_long(graph: Graph) -> None:
    """Refuse int64 but for a constant that is nothing but a bias."""
    long = {name for name, value in graph.values.items() if value.dtype == "int64"}
    for name in sorted(long - graph.constants.keys()):
        raise GraphError(f"value {name!r}: int64 is for constants only, biases; use int32")
    for node in graph.nodes:
        for place, name in enumerate(node.inputs):
            if name in long and (place != 2 or node.op not in _BIASED):
                raise GraphError(
                    f"node {node.name!r} ({node.op}): {name!r} is int64, which only the bias of a "
                    "layer may be; use int32"
                )


def _batched(value: Value) -> bool:
    return value.shape[:1] == ("N",)


def _check_constant(name: str, value: Value, array: NDArray[Any]) -> None:
    shape = constant_shape(name, value)
    dtype = DTYPES[value.dtype]
    if not isinstance(array, np.ndarray) or array.dtype != dtype.container or array.shape != shape:
        got = f"{array.dtype} {list(array.shape)}" if isinstance(array, np.ndarray) else repr(array)
        raise GraphError(
            f"constant {name!r}: {value.dtype} {list(shape)} is an array of {dtype.container} "
            f"{list(shape)}, got {got}"
        )
    if dtype.bits < 8 and array.size and not dtype.qmin <= array.min() <= array.max() <= dtype.qmax:
        raise GraphError(
            f"constant {name!r}: codes of {value.dtype} are in [{dtype.qmin}, {dtype.qmax}], "
            f"got {int(array.min())}..{int(array.max())}"
        )


def _check_order(graph: Graph) -> None:
    for name in graph.constants:
        if name not in graph.values:
            raise GraphError(f"constant {name!r} is not in values; describe or remove it")
    known = set(graph.constants)
    for name in graph.inputs:
        if name not in graph.values or name in known:
            raise GraphError(
                f"input {name!r} is described in values, once, and no constant; correct inputs"
            )
        known.add(name)
    produced = set(graph.inputs)
    names: set[str] = set()
    for node in graph.nodes:
        if not node.name or node.name in names:
            raise GraphError(f"node {node.name!r}: a node's name is unique and not empty")
        names.add(node.name)
        _check_flow(graph, node, known, produced)
    _check_ends(graph, produced)


def _check_flow(graph: Graph, node: Node, known: set[str], produced: set[str]) -> None:
    """Check that inputs come before ``node`` and outputs are new; add these to both sets."""
    for name in node.inputs:
        if name and name not in known:
            raise GraphError(
                f"node {node.name!r}: input {name!r} is no input, constant or earlier output; "
                "sort the nodes in order of execution"
            )
    for name in node.outputs:
        if name not in graph.values or name in known:
            raise GraphError(
                f"node {node.name!r}: output {name!r} is described in values and produced once, "
                "and is no input or constant; rename it"
            )
        known.add(name)
        produced.add(name)


def _check_ends(graph: Graph, produced: set[str]) -> None:
    if not graph.outputs or len(set(graph.outputs)) < len(graph.outputs):
        raise GraphError(f"outputs are at least one, each once, got {list(graph.outputs)}")
    for name in graph.outputs:
        if name not in produced:
            raise GraphError(f"output {name!r} is neither an input nor produced by a node")
    for name in graph.values:
        if name not in produced and name not in graph.constants:
            raise GraphError(f"value {name!r} is no constant, no input and not produced; remove it")


def _check_node(graph: Graph, node: Node) -> None:
    try:
        check_node(graph, node)
    except ValueError as error:
        raise GraphError(f"node {node.name!r} ({node.op}): {error}") from error


def _check_batch(graph: Graph) -> None:
    """Check section 3: where there is a batch, everything an input reaches has it."""
    for name in dependents(graph.nodes, graph.inputs):
        if "T" in graph.values[name].shape and not has_length(graph):
            raise GraphError(f"value {name!r} has a length T that no input has; give a number")
    batched = [_batched(graph.values[name]) for name in graph.inputs]
    if len(set(batched)) > 1:
        raise GraphError(f"inputs {list(graph.inputs)} all begin with N, or none; reshape them")
    if not has_batch(graph):
        return
    dynamic = {
        n for node in graph.nodes if node.op == "DynamicQuantizeLinear" for n in node.outputs[1:]
    }
    for name in dependents(graph.nodes, graph.inputs) - dynamic:
        if not _batched(graph.values[name]):
            raise GraphError(f"value {name!r} depends on an input, so its shape begins with N")
    for name in graph.outputs:
        if not _batched(graph.values[name]):
            raise GraphError(f"output {name!r} begins with N, as the inputs do; reshape it")
