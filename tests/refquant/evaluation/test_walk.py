"""Two graphs side by side: which values are pairs, and that nothing else is kept."""

from typing import Any

import numpy as np
import pytest

from refquant.evaluation.walk import common_values, pairs, pieces, steps
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32

X = np.random.default_rng(2).standard_normal((64, 4)).astype(np.float32)


def made(name: str) -> Graph:
    return quantize(small_net(), recipe(name), {"x": X})


def test_only_what_both_make_and_mean_alike_is_a_pair() -> None:
    net = small_net()
    assert common_values(net, net) == ["first", "relu", "y"], "all of them"
    assert common_values(net, made("int8_full_integer")) == ["relu", "y"], "codes mean reals"
    assert common_values(chain(1, 2, 3), chain(1, 2)) == ["h0", "y"], "by name"
    b = Builder("wide")
    b.node("Relu", [b.input("x", ("N", 3))], name="y")
    assert common_values(chain(1), b.graph(["y"])) == [], "of another shape"
    b = Builder("tokens")
    ids = b.input("ids", ("N",), dtype="int32")
    moved = b.graph([b.node("Reshape", [ids], attributes={"shape": (0, 1)}, name="y")])
    assert common_values(moved, moved) == [], "tokens are no reals"


@pytest.mark.parametrize("name", ["int8_static", "int8_full_integer", "int8_dynamic", "int4_rtn"])
def test_pairs_are_what_the_executor_keeps(name: str) -> None:
    net, small = small_net(), made(name)
    names = common_values(net, small)
    x = X[:1] if name == "int8_dynamic" else X
    got = {n: (r, t) for n, r, t in pairs(net, small, {"x": x}, names, sums="ordered")}
    assert list(got) == names, f"in order: {list(got)}"
    kept = run(net, {"x": x}, keep=names)
    for n, (r, t) in got.items():
        assert r.dtype == t.dtype == np.float32, f"{n}: reals"
        assert r.tobytes() == kept[n].tobytes(), f"{n} of the float model"
    if name != "int8_full_integer":  # its output is codes, not reals
        y = run(small, {"x": x})["y"]
        assert got["y"][1].tobytes() == y.tobytes(), "the output of the small model"


def test_an_order_of_its_own_is_no_trouble() -> None:
    graphs = []
    for order in (("a", "b", "c"), ("c", "a", "b")):
        b = Builder("free")
        x = b.input("x", ("N", 2))
        ops = {"a": "Relu", "b": "Neg", "c": "Abs"}
        made = [b.node(ops[name], [x], name=name) for name in order]
        graphs.append(b.graph(made))
    one, other = graphs
    got = list(pairs(one, other, {"x": f32([[1, -2]])}, ["a", "b", "c"], sums="ordered"))
    assert [name for name, _, _ in got] == ["a", "b", "c"], "the reference's order"
    for name, r, t in got:
        assert r.tolist() == t.tolist(), f"{name}: {r} {t}"


def test_samples_go_in_pieces_that_no_result_depends_on() -> None:
    x = {"x": np.zeros((260, 4), np.float32)}
    net = small_net()
    sizes = [len(piece["x"]) for piece in pieces([net, made("int8_static")], x)]
    assert sizes == [250, 10], f"{sizes}"
    sizes = [len(piece["x"]) for piece in pieces([net, made("int8_dynamic")], x)]
    assert sizes == [1] * 260, "its range is of all it is given"
    b = Builder("rounded")
    how = {"format": "fp8_e4m3", "granularity": "tensor"}
    y = b.node("FakeQuantize", [b.input("x", ("N", 4))], name="y", attributes=how)
    sizes = [len(piece["x"]) for piece in pieces([b.graph([y])], x)]
    assert sizes == [1] * 260, "rounded by the largest of all it is given"
    b = Builder("text")
    text = b.graph([b.node("Relu", [b.input("x", ("N", "T"))], name="y")])
    lengths = [piece["x"].shape for piece in pieces([text, text], {"x": np.zeros((2, 7))})]
    assert lengths == [(1, 7)] * 2, "sequences one at a time"
    b = Builder("whole")
    whole = b.graph([b.node("Relu", [b.input("x", (3, 2))], name="y")])
    assert [p["x"].shape for p in pieces([whole], {"x": np.zeros((3, 2))})] == [(3, 2)], "no batch"


def test_values_are_forgotten_after_their_last_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    alive: list[int] = []

    class Watched(dict[str, Any]):
        def __setitem__(self, name: str, array: Any) -> None:
            super().__setitem__(name, array)
            alive.append(sum(n.startswith(("h", "y")) for n in self))

    graph = chain(*[1.0] * 20)
    monkeypatch.setattr(
        "refquant.evaluation.walk._arrays", lambda g, i: Watched({**g.constants, **i})
    )
    list(pairs(graph, graph, {"x": f32([[1, 2]])}, common_values(graph, graph), sums="ordered"))
    assert max(alive) == 2, f"a value and what it is made from: {max(alive)}"


def test_steps_are_what_the_executor_computes_codes_and_all() -> None:
    small = made("int8_static")
    x = {"x": X[:3]}
    found = list(steps(small, x, sums="ordered"))
    assert [step.node for step in found] == list(small.nodes), "every node, in order"
    kept = run(small, x, keep=[name for node in small.nodes for name in node.outputs])
    for step in found:
        assert step.seconds >= 0, f"{step.node.name}"
        for name, array in step.made.items():
            assert array.dtype == kept[name].dtype, f"{name}: codes stay codes"
            assert array.tobytes() == kept[name].tobytes(), f"{name}"
