"""The graph's form: names, order, keys, contracts; one edit of a valid file, one error."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.contracts import preset
from refquant_runtime import FormatError
from refquant_runtime.graph import Graph
from refquant_runtime.read_graph import read_graph
from tests.runtime.zoo import ZOO, edited, file_of, graph_of, parts, whole, with_graph

Tree = dict[str, Any]


def read(folder: Path, data: bytes) -> Graph:
    (folder / "m.rq").write_bytes(data)
    return read_graph(folder / "m.rq")


@pytest.mark.parametrize("name", ZOO)
def test_a_graph_is_read_as_it_was_written(name: str, tmp_path: Path) -> None:
    graph, reference = read(tmp_path, file_of(name)), ZOO[name]()
    assert (graph.name, graph.inputs, graph.outputs) == (
        reference.name, reference.inputs, reference.outputs,
    ), "name and ends"  # fmt: skip
    assert [(n.name, n.op, n.inputs, n.outputs, n.contract) for n in graph.nodes] == [
        (n.name, n.op, n.inputs, n.outputs, n.contract) for n in reference.nodes
    ], "nodes"
    for key, value in graph.values.items():
        other = reference.values[key]
        sizes = ["T" if i in value.lengths else d for i, d in enumerate(value.shape)]
        shape = ("N", *sizes[1:]) if value.batched else tuple(sizes)
        assert (value.dtype, shape) == (other.dtype, other.shape), key
        assert (value.quant is None) == (other.quant is None), key
        assert (value.data is None) == (key not in reference.constants), key
    assert graph.meta == reference.meta, "what people wrote"
    assert graph.file_bytes == len(file_of(name)), "the size of the file"


def first(tree: Tree) -> Tree:
    node: Tree = tree["nodes"][0]
    return node


def axes(tree: Tree) -> Tree:
    contract: Tree = tree["contracts"]["ort"]
    return contract


def contract_of(name: str, key: str, value: Any) -> Callable[[Tree], Any]:
    """Add another contract, which no node uses, with one axis changed."""
    return lambda tree: tree["contracts"].update({name: axes(tree) | {key: value}})


EDITS: dict[str, tuple[Callable[[Tree], Any], str]] = {
    "key missing": (lambda t: t.pop("meta"), r"graph: lacks \['meta'\]"),
    "key unknown": (lambda t: t.update(extra=1), "graph: unknown key 'extra'"),
    "name": (lambda t: t.update(name=1), "name: 1 is not of type str"),
    "meta": (lambda t: t.update(meta=[]), "meta: .* is not of type dict"),
    "values": (lambda t: t.update(values=[]), "values: .* is not of type dict"),
    "nodes": (lambda t: t.update(nodes={}), "nodes: .* is not of type list"),
    "node": (lambda t: t["nodes"].append(1), "node 4: 1 is not a JSON object"),
    "node's key": (lambda t: first(t).update(doc="x"), "node 0: unknown key 'doc'"),
    "no inputs": (lambda t: first(t).pop("inputs"), r"node 0: lacks \['inputs'\]"),
    "inputs": (lambda t: t.update(inputs="x"), "inputs: 'x' is not a list of names"),
    "input twice": (lambda t: t.update(inputs=["x", "x"]), "input 'x': .* stands twice"),
    "input unknown": (lambda t: t.update(inputs=["x", "u"]), "input 'u': is not declared"),
    "input constant": (lambda t: t.update(inputs=["x", "w"]), "input 'w': .* is a constant"),
    "no output": (lambda t: t.update(outputs=[]), "outputs: are empty or named twice"),
    "output twice": (lambda t: t.update(outputs=["y", "y"]), "outputs: are empty or named twice"),
    "output unknown": (lambda t: t.update(outputs=["u"]), "output 'u': is neither"),
    "output constant": (lambda t: t.update(outputs=["w"]), "output 'w': is neither"),
    "no order": (lambda t: t["nodes"].reverse(), "is not produced before it; sort the nodes"),
    "cycle": (lambda t: first(t).update(inputs=["y"]), "input 'y' is not produced before it"),
    "missing input": (lambda t: first(t).update(inputs=["u"]), "input 'u' is not produced"),
    "produced twice": (lambda t: first(t).update(outputs=["q", "q", "z"]), "output 'q' is .*twice"),
    "into an input": (lambda t: first(t).update(outputs=["x", "s", "z"]), "output 'x' is"),
    "into a constant": (lambda t: first(t).update(outputs=["w", "s", "z"]), "output 'w' is"),
    "nobody's value": (
        lambda t: t["values"].update(u={"dtype": "int8", "shape": []}),
        "value 'u': is neither a constant nor produced",
    ),
    "node's name empty": (lambda t: first(t).update(name=""), "its name is empty or not unique"),
    "node's name twice": (lambda t: first(t).update(name="y"), "its name is empty or not unique"),
    "op": (lambda t: first(t).update(op=3), "node 0 op: 3 is not of type str"),
    "attributes": (lambda t: first(t).update(attributes=[]), "is not of type dict"),
    "attribute": (lambda t: first(t).update(attributes={"a": None}), "attribute 'a' is None"),
    "attribute list": (lambda t: first(t).update(attributes={"a": [[1]]}), "attribute 'a' is"),
    "contract null": (lambda t: first(t).update(contract=None), "is not of type str"),
    "contract unknown": (lambda t: first(t).update(contract="u"), "contract 'u' is not in the"),
    "tensor unknown": (lambda t: t["values"].pop("bias"), "tensor 'bias': is not one of"),
    "contracts": (lambda t: t.update(contracts=[]), "contracts: .* is not of type dict"),
    "contract no object": (lambda t: t["contracts"].update(u=1), "contract 'u': 1 is not of"),
    "contract unnamed": (contract_of("", "nan", "qmin"), "contract '': has an empty name"),
    "axis missing": (lambda t: axes(t).pop("add"), "contract 'ort': axis 'add' is missing"),
    "axis unknown": (contract_of("u", "mood", "good"), "contract 'u': unknown axis 'mood'"),
    "float zeros": (
        lambda t: t["contracts"].update(hqq=preset("hqq").to_json()),
        "contract 'hqq': has zero points that are no integers",
    ),
    "axis value": (contract_of("u", "rounding", "nearest"), "axis 'rounding' is 'nearest', none"),
    "axis type": (contract_of("u", "negative_scale", 0), "axis 'negative_scale' is 0, none of"),
    "axis number": (contract_of("u", "zero_range_scale", 0.1), "axis 'zero_range_scale' is 0.1"),
}


@pytest.mark.parametrize("name", EDITS)
def test_one_broken_rule_gives_one_error_that_names_it(name: str, tmp_path: Path) -> None:
    edit, rule = EDITS[name]
    with pytest.raises(FormatError, match=rf"m\.rq: .*{rule}") as caught:
        read(tmp_path, edited("dynamic", edit))
    assert "; " in str(caught.value), "and a remedy"


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "null", '{"name":1,"name":2}', '{"a":NaN}', "[" * 40 + "]" * 40]
)
def test_a_graph_that_is_no_json_is_refused(text: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=r"m\.rq: graph: not valid JSON"):
        read(tmp_path, with_graph(file_of("dynamic"), text))


def test_deep_meta_is_refused_and_shallow_meta_kept(tmp_path: Path) -> None:
    def nested(depth: int) -> str:  # the object of the graph, and meta, are two more
        tree = graph_of(file_of("dynamic"))
        deep = "[" * depth + "]" * depth
        return json.dumps(tree | {"meta": {"x": "DEEP"}}).replace('"DEEP"', deep)

    assert read(tmp_path, with_graph(file_of("dynamic"), nested(30))).meta["x"], "32 in all"
    with pytest.raises(FormatError, match="nested deeper than 32"):
        read(tmp_path, with_graph(file_of("dynamic"), nested(31)))


def test_every_key_of_the_metadata_counts(tmp_path: Path) -> None:
    header, body = parts(file_of("dynamic"))
    for key in ("graph", "sha256", "format"):
        lacking = {k: v for k, v in header["__metadata__"].items() if k != key}
        with pytest.raises(FormatError, match=key):
            read(tmp_path, whole(header | {"__metadata__": lacking}, body))
    more = header["__metadata__"] | {"author": "me"}
    with pytest.raises(FormatError, match="author"):
        read(tmp_path, whole(header | {"__metadata__": more}, body))


def test_a_file_of_version_1_has_no_words_for_version_2(tmp_path: Path) -> None:
    for name in ("tables", "long_bias"):
        header, body = parts(file_of(name))
        header["__metadata__"]["format"] = "refquant/1"
        (tmp_path / "m.rq").write_bytes(whole(header, body))
        with pytest.raises(FormatError, match="has what refquant/1 has no words for"):
            read_graph(tmp_path / "m.rq")


def test_64_bits_are_for_biases(tmp_path: Path) -> None:
    def second(tree: Tree) -> None:
        tree["nodes"].append(
            {"name": "z", "op": "DequantizeLinear", "inputs": ["b"], "outputs": ["z"],
             "attributes": {}, "contract": first(tree)["contract"]}
        )  # fmt: skip
        tree["values"]["z"] = {"dtype": "float32", "shape": [3]}

    with pytest.raises(FormatError, match="input 'b' is int64, but no bias"):
        read(tmp_path, edited("long_bias", second))
    with pytest.raises(FormatError, match="input 'b' is int64, but no bias"):
        read(tmp_path, edited("long_bias", lambda t: first(t).update(inputs=["x", "b"])))
    with pytest.raises(FormatError, match="value 'x': is int64 and no constant"):
        read(tmp_path, edited("long_bias", lambda t: t["values"]["x"].update(dtype="int64")))
