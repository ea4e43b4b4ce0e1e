"""A rotation in front of a layer: one for all who read a value, none where it has no sense."""

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.rotate import rotate
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_online import rotate_online
from tests.refquant.model.rotation_zoo import NEARLY, Maker, likeness


def test_one_rotation_serves_all_who_read_a_value() -> None:
    b = Maker("g")
    x = b.input("x", ("N", 8))
    y = [b.linear(x, 3, name) for name in ("a", "b")]
    y.append(b.node("Relu", [x], name="other"))
    graph = b.graph(y)
    turned, records = rotate(graph, how="online", seed=0)
    assert [n.op for n in turned.nodes].count("Hadamard") == 1, "one for two"
    assert records[0]["nodes"] == ["a/product", "b/product"], records
    relu = next(n for n in turned.nodes if n.name == "other")
    assert relu.inputs == ("x",), "a Relu of rotated values is another function"
    assert likeness(graph, turned) >= NEARLY, "the same function"


def test_channels_and_last_axes_of_one_value_have_a_rotation_each() -> None:
    b = Maker("g")
    x = b.input("x", ("N", 8, 6))
    y = b.node("Conv", [x, b.weight("w", 4, 8, 3)], name="conv", attributes={"pads": [1, 1]})
    graph = b.graph([y, b.linear(x, 5, "linear", bias=False)])
    turned, records = rotate(graph, how="online", seed=0)
    axes = {n.outputs[0]: n.attributes["axis"] for n in turned.nodes if n.op == "Hadamard"}
    assert axes == {"x/rotated": 1, "x/rotated_": 2}, axes
    assert [(r["size"], r["block_size"]) for r in records] == [(8, 8), (6, 2)], "6 = 3 blocks of 2"
    assert likeness(graph, turned) >= NEARLY, "the same function"


@pytest.mark.parametrize("pads", [0, 1, 2])
@pytest.mark.parametrize("dilation", [1, 2])
def test_padding_of_zeros_stays_padding(pads: int, dilation: int) -> None:
    """Integers, order 4: exact, at the borders, too."""
    b = Maker("g")
    x = b.input("x", ("N", 4, 7, 7))
    w = b.constant("w", b.rng.integers(-3, 4, (2, 4, 3, 3)).astype(np.float32))
    window = {"pads": [pads, 0, 0, pads], "dilations": [dilation] * 2, "strides": [2, 1]}
    graph = b.graph([b.node("Conv", [x, w], name="y", attributes=window)])
    turned, _ = rotate(graph, how="online", seed=0)
    assert likeness(graph, turned) == np.inf, "bit for bit"


def test_what_is_skipped_and_why() -> None:
    b = Maker("g")
    x = b.input("x", ("N", "T", 7))
    outputs = [b.linear(x, 4, "seven")]
    planes = b.input("planes", ("N", 4, 5, 5))
    grouped = [planes, b.weight("gw", 4, 2, 1, 1)]
    outputs.append(b.node("Conv", grouped, name="grouped", attributes={"group": 2}))
    sizes = {"hidden_size": 4, "layout": 1}
    steps = b.node("Relu", [x], name="steps")
    parts = [steps, b.weight("gru.w", 1, 12, 7), b.weight("gru.r", 1, 12, 4)]
    outputs.append(b.node_with("GRU", parts, ["h", "h1"], name="gru", attributes=sizes)[0])
    outputs.append(b.linear(x, 6, "kept"))
    outputs.append(b.linear(outputs[-1], 2, "turned"))
    graph = b.graph(outputs)
    draft = Draft(graph)
    rotate_online(draft, seed=0, leave=frozenset({"kept/product"}))
    reasons = {r["nodes"][0]: r["reason"] for r in draft.records if r["kind"] == "skipped"}
    assert reasons == {
        "seven/product": "no power of two divides its 7 inputs",
        "grouped": "a convolution in groups",
        "gru": "a GRU is not rotated",
        "kept/product": "the recipe leaves it in float32",
    }, reasons
    done = [r for r in draft.records if r["kind"] == "online"]
    assert [r["nodes"] for r in done] == [["turned/product"]], done
    assert likeness(graph, draft.done()) >= NEARLY, "the same function"


def test_products_of_two_computed_matrices_and_of_constants_are_none_of_ours() -> None:
    b = Maker("g")
    x = b.input("x", ("N", 4, 4))
    both = b.node("MatMul", [x, x], name="both")
    fixed = b.node("MatMul", [b.weight("v", 4, 4), b.weight("w", 4, 4)], name="fixed")
    y = b.node("Add", [both, fixed], name="sum")
    draft = Draft(b.graph([b.linear(y, 2, "y")]))
    rotate_online(draft, seed=0, leave=frozenset())
    assert [r["nodes"] for r in draft.records] == [["y/product"]], draft.records


def test_an_outlier_is_spread_over_its_block() -> None:
    b = Maker("g")
    graph = b.graph([b.linear(b.input("x", ("N", 16)), 3, "y")])
    turned, _ = rotate(graph, how="online", seed=0)
    x = np.zeros((1, 16), np.float32)
    x[0, 5] = 100
    spread = run(turned, {"x": x}, keep=["x/rotated"])["x/rotated"]
    assert np.abs(spread).tolist() == [[25.0] * 16], "100 / sqrt(16)"
