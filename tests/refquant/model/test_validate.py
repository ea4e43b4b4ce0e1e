"""Section 2 and 3 of the format, each rule broken once: names, constants, order, batch."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.graph import Graph, Node, Quant, Value
from refquant.model.validate import GraphError, validate

Break = Callable[[Graph], Graph]


def value(name: str, new: Value | None) -> Break:
    """Return a change of one value; None removes it."""

    def change(g: Graph) -> Graph:
        values = {n: v for n, v in g.values.items() if n != name}
        return replace(g, values=values if new is None else {**values, name: new})

    return change


def constant(name: str, array: Any) -> Break:
    return lambda g: replace(g, constants={**g.constants, name: array})


def node(index: int, **changes: Any) -> Break:
    return lambda g: replace(
        g, nodes=(*g.nodes[:index], replace(g.nodes[index], **changes), *g.nodes[index + 1 :])
    )


def fields(**changes: Any) -> Break:
    return lambda g: replace(g, **changes)


F4 = Value("float32", ("N", 4))


def test_int64_is_for_constants_that_are_biases() -> None:
    long, own = Value("int64", (4,), Quant(0.5, 0)), {"onnx": preset("onnx")}
    array = {"b": np.arange(4)}
    read = Node("n", "DequantizeLinear", ("b",), ("y",), {}, "onnx")
    plain = Value("float32", (4,))
    with pytest.raises(GraphError, match=r"node 'n' .* 'b' is int64, which only the bias"):
        validate(Graph("g", ("x",), ("y",), {"x": plain, "y": plain, "b": long}, (read,), array,
                       own, {}))  # fmt: skip
    with pytest.raises(GraphError, match="value 'x': int64 is for constants only"):
        validate(Graph("g", ("x",), ("x",), {"x": long}, (), {}, {}, {}))


def test_the_zoo_is_valid(graph: Graph) -> None:
    validate(graph)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (fields(name="\ud800"), "names and meta can be written as JSON: .*surrogate"),
        (fields(meta={"a": (1,)}), "names and meta .* tuple has no JSON"),
        (fields(meta={"a": float("nan")}), "names and meta .* finite"),
        (fields(contracts={"mine": preset("onnx")}), r"contracts\['mine'\] is called 'onnx'"),
        (fields(contracts={"hqq": preset("hqq")}), r"'hqq'\] has zero points that are no integers"),
        (fields(contracts={"mlx": preset("mlx")}), r"'mlx'\] has zero points that are no integers"),
        (value("", F4), "a value's name is not empty"),
        (value("x", Value("float64", ("N", 4))), "'x': dtype is one of .* got 'float64'"),
        (value("x", Value("float32", ("N", "N"))), "'x': shape is integers >= 0"),
        (value("x", Value("float32", ("N", -1))), "'x': shape is integers >= 0"),
        (value("x", Value("float32", ("N", 4.0))), "'x': shape is integers >= 0"),  # type: ignore
        (value("x", Value("float32", ("N", True))), "'x': shape is integers >= 0"),
        (value("x", Value("float32", ("N", *(1,) * 7))), "'x'.* at most 6 axes"),
        (value("x", Value("float32", ("N", 2**31))), r"'x'.* less than 2\^31"),
        (value("x", Value("int4", ("N", 4))), "'x': int4 is for constants only"),
        (value("q", Value("uint8", ("N", 4), Quant("bias", 0, (1, 4)))), "'q': only constants may"),
        (value("more", F4), "'more' is no constant, no input and not produced"),
        (value("w", Value("int8", ("N", 3))), "constant 'w': shape is integers"),
        (value("w", Value("uint8", (4, 3))), "'w': uint8 .* is an array of uint8 .* got int8"),
        (value("w", Value("int8", (3, 4))), r"'w': int8 \[3, 4\] is an array .* got int8 \[4, 3\]"),
        (value("w", Value("int2", (4, 3))), r"'w': codes of int2 are in \[-2, 1\], got -6..5"),
        (constant("w", [[1]]), r"'w': .* got \[\[1\]\]"),
        (constant("more", np.zeros(1, np.int8)), "constant 'more' is not in values"),
        (value("x", None), "input 'x' is described in values"),
        (fields(inputs=("x", "x")), "input 'x' is described in values, once"),
        (fields(inputs=("x", "w")), "input 'w' is described in values, once, and no constant"),
        (fields(outputs=()), "outputs are at least one"),
        (fields(outputs=("y", "y")), "outputs are at least one, each once"),
        (fields(outputs=("w",)), "output 'w' is neither an input nor produced"),
        (fields(outputs=("none",)), "output 'none' is neither"),
        (node(0, name=""), "node '': a node's name is unique and not empty"),
        (node(0, name="y"), "node 'y': a node's name is unique"),
        (node(2, inputs=("none",)), "node 'y': input 'none' is no input, constant or earlier"),
        (node(0, inputs=("y",)), "node 'd': input 'y' .* sort the nodes"),
        (node(2, outputs=("none",)), "node 'y': output 'none' is described in values"),
        (node(2, outputs=("q",)), "node 'y': output 'q' is described in values and produced once"),
        (node(2, outputs=("w",)), "and is no input or constant"),
        (node(2, outputs=("x",)), "and is no input or constant"),
        (node(2, op="Tahn"), r"node 'y' \(Tahn\): unknown operator"),
        (value("y", Value("float32", ("N", 4))), r"'y' \(Tanh\): output 'y' has shape .*declared"),
        (fields(outputs=("y", "s")), "output 's' begins with N"),
        (value("x", Value("float32", (7, 4))), "has shape"),
    ],
)
def test_a_broken_rule_is_named(zoo: Mapping[str, Graph], change: Break, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        validate(change(zoo["dynamic"]))


def test_inputs_agree_about_the_batch() -> None:
    values = {"a": F4, "b": Value("float32", (1, 4)), "y": F4}
    nodes = (Node("n", "Add", ("a", "b"), ("y",)),)
    graph = Graph("g", ("a", "b"), ("y",), values, nodes, {}, {}, {})
    with pytest.raises(GraphError, match="all begin with N, or none"):
        validate(graph)


def test_a_value_that_needs_no_input_has_no_batch_and_is_no_output() -> None:
    c = np.ones((1, 4), np.float32)
    values = {"x": F4, "c": Value("float32", (1, 4)), "d": Value("float32", (1, 4)), "y": F4}
    nodes = (Node("n", "Relu", ("c",), ("d",)), Node("m", "Add", ("x", "d"), ("y",)))
    graph = Graph("g", ("x",), ("y",), values, nodes, {"c": c}, {}, {})
    validate(graph)
    with pytest.raises(GraphError, match="output 'd' begins with N"):
        validate(replace(graph, outputs=("y", "d")))


def test_a_graph_without_nodes_is_the_identity() -> None:
    validate(Graph("g", ("x",), ("x",), {"x": F4}, (), {}, {}, {}))
