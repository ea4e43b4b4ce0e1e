"""What stays in float32: roots of squares, and movement that nobody needs on codes."""

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.quantize_kept import idle_movement, roots_of_squares
from refquant.model.recipe import recipe


def spectrum(b: Builder, x: str) -> tuple[str, str]:
    w = np.random.default_rng(0).normal(size=(8, 8)).astype(np.float32)
    both = b.node("MatMul", [x, b.constant("w", w)], name="both")
    parts = [
        b.node("Slice", [both], name=f"part{i}",
               attributes={"axes": [1], "starts": [4 * i], "ends": [4 * i + 4]}) for i in range(2)
    ]  # fmt: skip
    return parts[0], parts[1]


def magnitude() -> Graph:
    b = Builder("g")
    a, c = spectrum(b, b.input("x", ("N", 8)))
    squares = [b.node("Mul", [part, part], name=f"square{part}") for part in (a, c)]
    total = b.node("Add", squares, name="total")
    y = b.node("Sqrt", [total], name="root")
    v = b.constant("v", np.eye(4, dtype=np.float32))
    return b.graph([b.node("MatMul", [y, v], name="y")])


def test_quiet_parts_are_there_beside_loud_ones() -> None:
    graph = magnitude()
    rng = np.random.default_rng(1)
    x = rng.normal(size=(200, 8)).astype(np.float32) * 10 ** rng.uniform(-1.3, 0, (200, 1))
    inputs = {"x": x.astype(np.float32)}
    want = run(graph, inputs)["y"]
    quiet = np.linalg.norm(want, axis=1) < 0.4
    made = quantize(graph, recipe("w8a8_static_per_tensor"), inputs)
    floats = [n.name for n in made.nodes if n.op in ("Mul", "Add", "Sqrt")]
    assert all(made.values[name].quant is None for name in floats), "reals from square to root"

    def lost(of: Graph) -> float:
        error = np.linalg.norm(run(of, inputs)["y"] - want, axis=1)
        return float((error / np.linalg.norm(want, axis=1))[quiet].mean())

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("refquant.model.quantize_plan.roots_of_squares", lambda graph: set())
        coded = quantize(graph, recipe("w8a8_static_per_tensor"), inputs)
    assert lost(made) < 0.35, f"{lost(made)} of what is quiet"
    assert lost(coded) > 0.9, f"on codes of squares {lost(coded)} is lost, or the rule is idle"


def test_only_roots_of_squares_are_kept() -> None:
    b = Builder("g")
    x, y = b.input("x", ("N", 4)), b.input("y", ("N", 4))
    one = b.constant("one", np.ones(1, np.float32))
    b.node("Sqrt", [b.node("Add", [b.node("Mul", [x, y]), one])], name="of a product")
    b.node("Sqrt", [b.node("Add", [b.node("Mul", [x, x]), y])], name="of a square and more")
    b.node("Sqrt", [b.node("Exp", [x])], name="of what is no square")
    b.node("Sqrt", [one], name="of a constant")
    b.node("Tanh", [b.node("Mul", [x, x])], name="no root")
    square = b.node("Mul", [x, x], name="square")
    mean = b.node("ReduceMean", [square], name="mean", attributes={"axes": [1]})
    kept = b.node("Sqrt", [b.node("Add", [mean, one], name="floor")], name="root")
    graph = b.graph([kept])
    assert roots_of_squares(graph) == {"square", "mean", "floor", "root"}, "one of six"


def test_movement_of_inputs_is_on_codes_for_readers_on_codes_only() -> None:
    b = Builder("g")
    x, y = b.input("x", ("N", 2, 2)), b.input("y", ("N", 2, 2))
    turned = b.node("Transpose", [x], name="turned", attributes={"perm": (0, 2, 1)})
    flat = b.node("Flatten", [turned], name="flat")
    both = b.node("Concat", [x, y], name="both", attributes={"axis": 1})
    b.node("Tanh", [both], name="coded")
    b.node("Tanh", [flat], name="real")
    made = b.node("Flatten", [b.node("Tanh", [y], name="made")], name="behind")
    graph = b.graph([made, "real"])
    coded = {"turned", "flat", "both", "coded", "made", "behind"}
    assert idle_movement(graph, coded) == {"turned", "flat"}, "a chain to a float reader"
    assert idle_movement(graph, {*coded, "real"}) == set(), "every chain has a reader"
    assert idle_movement(graph, {"both"}) == {"both"}, "nobody reads codes"


def test_a_state_that_is_only_moved_keeps_its_bits() -> None:
    """A cell of an LSTM behind a Transpose: 8 bits of it would be heard in every later step."""
    b = Builder("g")
    x, c = b.input("x", ("N", 1, 3)), b.input("c", ("N", 4, 1))
    moved = b.node("Transpose", [c], name="moved", attributes={"perm": (0, 2, 1)})
    rng = np.random.default_rng(0)
    w, r = (
        b.constant(n, rng.normal(size=(1, 16, k)).astype("f4")) for n, k in (("w", 3), ("r", 4))
    )
    b.node_with("LSTM", [x, w, r, "", "", moved, moved], ["y", "h", "cn"], name="walk",
                attributes={"hidden_size": 4, "layout": 1})  # fmt: skip
    graph = b.graph(["y", "cn"])
    inputs = {
        "x": rng.normal(size=(8, 1, 3)).astype("f4"),
        "c": rng.normal(size=(8, 4, 1)).astype("f4"),
    }
    made = quantize(graph, recipe("int8_static"), inputs)
    assert made.values["moved"].dtype == "float32", "no codes on the way"
    full = quantize(graph, recipe("float32"))
    assert [n.op for n in full.nodes] == ["Transpose", "LSTM"], "a float graph is left alone"
