"""`Graph` <-> the JSON of docs/spec/rq-format.md, section 2.

Reading checks that every field is present, known and of its type, and builds dataclasses; whether
the graph *means* something is `refquant.model.validate`'s question. An unknown key is refused by
name: a reader that skips what it does not know computes something else.
"""

from collections.abc import Mapping, Set
from typing import Any

from numpy.typing import NDArray

from refquant.contracts import Contract
from refquant.model.graph import Attribute, Graph, Node, Quant, State, Value
from refquant.model.rq_container import short

__all__ = ["FieldError", "graph_from_json", "graph_to_json"]

_GRAPH_KEYS = frozenset({"name", "inputs", "outputs", "values", "nodes", "contracts", "meta"})
_NODE_KEYS = frozenset({"name", "op", "inputs", "outputs", "attributes"})


class FieldError(ValueError):
    """A field is missing, unknown or of the wrong type; the message names it, rule and remedy."""


def graph_to_json(graph: Graph) -> dict[str, Any]:
    """Return the graph without its constants as JSON objects."""
    states = {"states": [_state_to_json(state) for state in graph.states]} if graph.states else {}
    return {
        "name": graph.name,
        "inputs": list(graph.inputs),
        "outputs": list(graph.outputs),
        "values": {name: _value_to_json(value) for name, value in graph.values.items()},
        "nodes": [_node_to_json(node) for node in graph.nodes],
        "contracts": {name: dict(c.to_json()) for name, c in graph.contracts.items()},
        "meta": dict(graph.meta),
        **states,
    }


def _state_to_json(state: State) -> dict[str, Any]:
    result = {"name": state.name, "input": state.input, "output": state.output}
    return result | ({"initial": state.initial} if state.initial else {})


def _value_to_json(value: Value) -> dict[str, Any]:
    result: dict[str, Any] = {"dtype": value.dtype, "shape": list(value.shape)}
    if value.quant is not None:
        quant: dict[str, Any] = {"scale": value.quant.scale, "zero_point": value.quant.zero_point}
        if value.quant.block_shape is not None:
            quant["block_shape"] = list(value.quant.block_shape)
        named = {"table": value.quant.table, "g_idx": value.quant.g_idx}
        quant |= {key: name for key, name in named.items() if name is not None}
        result["quant"] = quant
    return result


def _node_to_json(node: Node) -> dict[str, Any]:
    attributes = {k: list(v) if isinstance(v, tuple) else v for k, v in node.attributes.items()}
    result: dict[str, Any] = {
        "name": node.name,
        "op": node.op,
        "inputs": list(node.inputs),
        "outputs": list(node.outputs),
        "attributes": attributes,
    }
    return result if node.contract is None else result | {"contract": node.contract}


def graph_from_json(tree: Any, constants: Mapping[str, NDArray[Any]]) -> Graph:
    """Return the graph that ``tree`` (parsed JSON) and the file's ``constants`` describe."""
    fields = _object(tree, "graph", _GRAPH_KEYS, frozenset({"states"}))
    values = _mapping(fields["values"], "graph.values")
    nodes = _list(fields["nodes"], "graph.nodes")
    contracts = _mapping(fields["contracts"], "graph.contracts")
    return Graph(
        name=_text(fields["name"], "graph.name"),
        inputs=_texts(fields["inputs"], "graph.inputs"),
        outputs=_texts(fields["outputs"], "graph.outputs"),
        values={name: _value(v, f"values[{name!r}]") for name, v in values.items()},
        nodes=tuple(_node(n, f"nodes[{i}]") for i, n in enumerate(nodes)),
        constants=dict(constants),
        contracts={name: _contract(name, c) for name, c in contracts.items()},
        meta=_mapping(fields["meta"], "graph.meta"),
        states=_states(fields),
    )


def _states(fields: Mapping[str, Any]) -> tuple[State, ...]:
    """Return the states, none without the key; an empty list would be a second way to say so."""
    if "states" not in fields:
        return ()
    listed = _list(fields["states"], "graph.states")
    if not listed:
        raise FieldError("graph.states is not empty; leave the key away")
    return tuple(_state(tree, f"states[{i}]") for i, tree in enumerate(listed))


def _state(tree: Any, where: str) -> State:
    named = _object(tree, where, frozenset({"name", "input", "output"}), frozenset({"initial"}))
    texts = {key: _text(item, f"{where}.{key}") for key, item in named.items()}
    if texts.get("initial") == "":
        raise FieldError(f"{where}.initial names a constant, got ''; leave the key away")
    return State(**texts)


def _value(tree: Any, where: str) -> Value:
    fields = _object(tree, where, frozenset({"dtype", "shape"}), frozenset({"quant"}))
    shape = tuple(_list(fields["shape"], f"{where}.shape"))
    if not all(_is_integer(d) or d in ("N", "T") for d in shape):
        raise FieldError(
            f"{where}.shape is a list of integers, or 'N' first, or 'T', got {short(shape)}"
        )
    quant = _quant(fields["quant"], f"{where}.quant") if "quant" in fields else None
    return Value(_text(fields["dtype"], f"{where}.dtype"), shape, quant)


def _quant(tree: Any, where: str) -> Quant:
    required = frozenset({"scale", "zero_point"})
    fields = _object(tree, where, required, frozenset({"block_shape", "table", "g_idx"}))
    scale, zero_point = fields["scale"], fields["zero_point"]
    if not (isinstance(scale, str | float) or _is_integer(scale)):
        raise FieldError(f"{where}.scale is a number or a constant's name, got {short(scale)}")
    if not (isinstance(zero_point, str) or _is_integer(zero_point)):
        raise FieldError(
            f"{where}.zero_point is an integer or a constant's name, got {short(zero_point)}"
        )
    block = None
    if "block_shape" in fields:
        block = _integers(fields["block_shape"], f"{where}.block_shape")
    names = {
        key: _text(fields[key], f"{where}.{key}") for key in ("table", "g_idx") & fields.keys()
    }
    return Quant(scale if isinstance(scale, str) else float(scale), zero_point, block, **names)


def _node(tree: Any, where: str) -> Node:
    fields = _object(tree, where, _NODE_KEYS, frozenset({"contract"}))
    attributes = _mapping(fields["attributes"], f"{where}.attributes")
    return Node(
        name=_text(fields["name"], f"{where}.name"),
        op=_text(fields["op"], f"{where}.op"),
        inputs=_texts(fields["inputs"], f"{where}.inputs"),
        outputs=_texts(fields["outputs"], f"{where}.outputs"),
        attributes={k: _attribute(v, f"{where}.attributes.{k}") for k, v in attributes.items()},
        contract=_text(fields["contract"], f"{where}.contract") if "contract" in fields else None,
    )


def _attribute(item: Any, where: str) -> Attribute:
    if isinstance(item, str | float) or _is_integer(item):
        result: Attribute = item
        return result
    return _integers(item, where)


def _contract(name: str, tree: Any) -> Contract:
    axes = _mapping(tree, f"contracts[{name!r}]")
    try:
        return Contract.from_json(name, axes)  # strict: every axis once, every value known
    except ValueError as error:
        raise FieldError(f"contracts[{name!r}]: {error}") from None


def _object(
    tree: Any, where: str, required: Set[str], optional: Set[str] = frozenset()
) -> dict[str, Any]:
    fields = _mapping(tree, where)
    for key in sorted(required - fields.keys()):
        raise FieldError(f"{where} lacks the key {key!r}; write the file again")
    for key in sorted(fields.keys() - required - optional):
        raise FieldError(
            f"{where} has the unknown key {short(key)}; remove it, or read it with a newer version"
        )
    return fields


def _mapping(tree: Any, where: str) -> dict[str, Any]:
    if not isinstance(tree, dict):
        raise FieldError(f"{where} is an object, got {short(tree)}")
    return tree


def _list(tree: Any, where: str) -> list[Any]:
    if not isinstance(tree, list):
        raise FieldError(f"{where} is a list, got {short(tree)}")
    return tree


def _text(item: Any, where: str) -> str:
    if not isinstance(item, str):
        raise FieldError(f"{where} is a string, got {short(item)}")
    return item


def _texts(tree: Any, where: str) -> tuple[str, ...]:
    return tuple(_text(item, f"{where}[{i}]") for i, item in enumerate(_list(tree, where)))


def _integers(tree: Any, where: str) -> tuple[int, ...]:
    if not isinstance(tree, list) or not all(_is_integer(i) for i in tree):
        raise FieldError(f"{where} is a list of integers, got {short(tree)}")
    return tuple(tree)


def _is_integer(item: Any) -> bool:
    return type(item) is int  # a bool is an int to Python, not to JSON
