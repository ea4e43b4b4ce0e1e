"""Loops and branches in their places: what onnxruntime computes by running them."""

import time
from typing import Any

import numpy as np
import pytest
from onnx import TensorProto, helper

from refquant.model.execute import run
from refquant.model.importers.onnx_import import import_onnx
from tests.refquant.model.importers.onnx_models import ask_ort, model, node, reals

NONE: Any = None


def value(name: str, kind: int = TensorProto.FLOAT, shape: Any = NONE) -> Any:
    return helper.make_tensor_value_info(name, kind, shape)


def body(nodes: list[Any], carried: list[tuple[str, str]], stacked: list[str]) -> Any:
    """Return a loop's body: trip ``i`` and condition ``c`` in, ``d`` and the others out."""
    ends = [value("i", TensorProto.INT64, []), value("c", TensorProto.BOOL, [])]
    outputs = [value("d", TensorProto.BOOL, []), *(value(b) for _, b in carried)]
    return helper.make_graph(
        nodes, "body", [*ends, *(value(a) for a, _ in carried)],
        [*outputs, *(value(name) for name in stacked)],
    )  # fmt: skip


def looped(inner: Any, inputs: list[str], outputs: list[str], held: dict[str, Any]) -> Any:
    return model([node("Loop", inputs, outputs, body=inner)], {"x": ["N", 4]}, outputs, held)


def power() -> Any:
    nodes = [node("Identity", ["c"], ["d"]), node("Mul", ["v", "x"], ["w"])]
    return body(nodes, [("v", "w")], ["w"])


@pytest.mark.parametrize("trips", [0, 1, 3])
def test_trips_carry_and_read_from_around(trips: int) -> None:
    made = looped(
        body([node("Identity", ["c"], ["d"]), node("Mul", ["v", "x"], ["w"])], [("v", "w")], []),
        ["m", "", "x"], ["y"], {"m": np.array(trips)},
    )  # fmt: skip
    x = {"x": reals(0, 3, 4)}
    assert np.array_equal(run(import_onnx(made.SerializeToString()), x)["y"], ask_ort(made, x)[0])


def test_what_each_trip_adds_is_stacked() -> None:
    made = model(
        [node("Loop", ["m", "t", "x"], ["y", "s"], body=power())], {"x": [2, 4]}, ["y", "s"],
        {"m": np.array(3), "t": np.array(True)},
    )  # fmt: skip
    inner = made.graph.node[0].attribute[0].g
    inner.output[1].name, inner.output[2].name = "w", "u"
    inner.node.append(node("Abs", ["w"], ["u"]))
    x = {"x": reals(0, 2, 4)}
    ours, theirs = run(import_onnx(made.SerializeToString()), x), ask_ort(made, x)
    assert all(np.array_equal(o, t) for o, t in zip(ours.values(), theirs, strict=True)), "all"


def test_the_trip_and_the_condition_are_known() -> None:
    """While i < 4, whatever the count: v = v + (i as a float)."""
    nodes = [
        node("Cast", ["i"], ["f"], to=TensorProto.FLOAT),
        node("Add", ["v", "f"], ["w"]),
        node("Less", ["i", "four"], ["d"]),
    ]
    made = looped(
        body(nodes, [("v", "w")], []), ["m", "t", "x"], ["y"],
        {"m": np.array(2**62), "t": np.array(True), "four": np.array(4)},
    )  # fmt: skip
    x = {"x": reals(0, 3, 4)}
    graph = import_onnx(made.SerializeToString())
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), "five trips"
    assert len([n for n in graph.nodes if n.op == "Add"]) == 5, f"{[n.op for n in graph.nodes]}"


def test_loops_in_loops() -> None:
    inside = body(
        [node("Identity", ["c"], ["d"]), node("Mul", ["v", "x"], ["w"])], [("v", "w")], []
    )
    outside = helper.make_graph(
        [
            node("Loop", ["i2", "", "a"], ["b"], body=inside),
            node("Identity", ["c2"], ["d2"]),
        ],
        "outside",
        [value("i2", TensorProto.INT64, []), value("c2", TensorProto.BOOL, []), value("a")],
        [value("d2", TensorProto.BOOL, []), value("b")],
    )
    made = looped(outside, ["m", "", "x"], ["y"], {"m": np.array(4)})
    x = {"x": reals(0, 3, 4)}
    graph = import_onnx(made.SerializeToString())
    assert np.array_equal(run(graph, x)["y"], ask_ort(made, x)[0]), "0 + 1 + 2 + 3 products"


def nested(depth: int, trips: int) -> Any:
    inner = power()
    del inner.output[2]
    for level in range(depth):
        inner = helper.make_graph(
            [
                node("Loop", ["m", "", f"a{level}"], [f"b{level}"], body=inner),
                node("Identity", [f"c{level}"], [f"d{level}"]),
            ],
            "g",
            [
                value(f"i{level}", TensorProto.INT64, []), value(f"c{level}", TensorProto.BOOL, []),
                value(f"a{level}"),
            ],
            [value(f"d{level}", TensorProto.BOOL, []), value(f"b{level}")],
        )  # fmt: skip
    return looped(inner, ["m", "", "x"], ["y"], {"m": np.array(trips)})


def plain() -> Any:
    inner = power()
    del inner.output[2]
    return inner


def branches(depth: int) -> Any:
    leaf = helper.make_graph([node("Neg", ["x"], ["r"])], "g", [], [value("r")])
    inner = leaf
    for level in range(depth):
        made = node("If", ["t"], [f"r{level}"], then_branch=inner, else_branch=leaf)
        inner = helper.make_graph([made], "g", [], [value(f"r{level}")])
    final = node("If", ["t"], ["y"], then_branch=inner, else_branch=leaf)
    return model([final], {"x": ["N", 4]}, ["y"], {"t": np.array(True)})


@pytest.mark.parametrize(
    ("made", "reason"),
    [
        (looped(plain(), ["m", "", "x"], ["y"], {"m": np.array(2**62)}), "trips or more are no"),
        (looped(plain(), ["m", "t", "x"], ["y"], {"m": np.array(2**62), "t": np.array(True)}),
         "trips or more are no"),
        (looped(plain(), ["", "", "x"], ["y"], {}), "it never ends"),
        (nested(8, 64), "become more than 32768 nodes"),
        (looped(power(), ["m", "", "x"], ["y", "s"], {"m": np.array(0)}), "stacks nothing"),
        (looped(body([node("Greater", ["x", "x"], ["d"]), node("Abs", ["v"], ["w"])],
                     [("v", "w")], []), ["m", "t", "x"], ["y"],
                {"m": np.array(9), "t": np.array(True)}), "must be a constant"),
        (looped(plain(), ["m", "", "x", "x"], ["y", "z"], {"m": np.array(9)}), "has an input for"),
        (branches(30), "64 messages deep"),
    ],
)  # fmt: skip
def test_what_is_refused_is_refused_soon(made: Any, reason: str) -> None:
    began = time.perf_counter()
    with pytest.raises(ValueError, match=reason):
        import_onnx(made.SerializeToString())
    assert time.perf_counter() - began < 20, "bounded"


def test_branches_in_branches() -> None:
    x = {"x": reals(0, 3, 4)}
    ours = run(import_onnx(branches(15).SerializeToString()), x)["y"]
    assert np.array_equal(ours, -x["x"]), "as deep as that"
