"""Two models side by side: who goes with whom, and who sees every node."""

import numpy as np
import pytest

from refquant.evaluation.lockstep import comparable, lockstep, paired_pieces
from refquant.evaluation.walk import Step
from refquant.model.build import Builder
from refquant.model.ends import to_inputs
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32

X = np.random.default_rng(2).standard_normal((64, 4)).astype(np.float32)


def made(name: str) -> Graph:
    return quantize(small_net(), recipe(name), {"x": X})


def test_integers_go_with_integers() -> None:
    b = Builder("tokens")
    ids = b.input("ids", ("N",), dtype="int32")
    moved = b.graph([b.node("Reshape", [ids], attributes={"shape": (0, 1)}, name="y")])
    assert comparable((moved, moved)) == ["y"], "tokens beside tokens"
    b = Builder("reals")
    x = b.input("x", ("N",))
    reals = b.graph([b.node("Reshape", [x], attributes={"shape": (0, 1)}, name="y")])
    assert comparable((moved, reals)) == [], "tokens beside reals"
    assert comparable((small_net(), made("int8_full_integer"))) == ["relu", "y"], "codes mean reals"
    b = Builder("wide")
    b.node("Relu", [b.input("x", ("N", 3))], name="y")
    assert comparable((chain(1), b.graph(["y"]))) == [], "of another shape"


@pytest.mark.parametrize("name", ["int8_static", "int8_full_integer", "int4_rtn"])
def test_every_value_is_handed_out_as_the_executor_makes_it(name: str) -> None:
    graphs = (small_net(), made(name))
    names = comparable(graphs)
    inputs = ({"x": X}, to_inputs(graphs[1], {"x": X}))
    seen: list[tuple[int, Step]] = []
    got = list(lockstep(graphs, inputs, frozenset(names), sums="ordered",
                        see=lambda which, step: seen.append((which, step))))  # fmt: skip
    assert [n for n, _, _ in got] == names, "in order, once each"
    kept = [run(graphs[i], inputs[i], keep=names) for i in (0, 1)]
    for n, r, t in got:
        assert r.tobytes() == kept[0][n].tobytes(), f"{n} of the reference"
        assert t.dtype == kept[1][n].dtype, f"{n}: codes stay codes"
        assert t.tobytes() == kept[1][n].tobytes(), f"{n} of the test"
    for i in (0, 1):
        assert [s.node for which, s in seen if which == i] == list(graphs[i].nodes), f"graph {i}"


def test_nodes_behind_the_last_common_value_are_seen_too() -> None:
    seen: list[tuple[int, str]] = []
    a, b = chain(1, 2, last="end"), chain(1, 2, 3)
    x = {"x": f32([[1, 2]])}
    list(lockstep((a, b), (x, x), frozenset(["h0"]), sums="ordered",
                  see=lambda which, step: seen.append((which, step.node.outputs[0]))))  # fmt: skip
    assert sorted(seen) == [(0, "end"), (0, "h0"), (1, "h0"), (1, "h1"), (1, "y")], f"{seen}"


def test_an_order_of_its_own_is_no_trouble() -> None:
    graphs = []
    for order in ("abc", "cab"):
        b = Builder("free")
        x = b.input("x", ("N", 2))
        graphs.append(b.graph([b.node("Neg", [x], name=name) for name in order]))
    data = {"x": f32([[1, -2]])}
    found = lockstep((graphs[0], graphs[1]), (data, data), frozenset("abc"), sums="ordered")
    assert [n for n, _, _ in found] == ["a", "b", "c"], "the reference's order"


def test_pieces_of_both_are_of_the_same_samples() -> None:
    x = np.arange(1040, dtype=np.float32).reshape(260, 4)
    small = made("int8_full_integer")
    graphs = (small_net(), small)
    found = paired_pieces(graphs, ({"x": x}, to_inputs(small, {"x": x})))
    assert [len(r["x"]) for r, _ in found] == [250, 10], "chunks"
    for r, t in found:
        assert t["x"].tobytes() == to_inputs(small, r)["x"].tobytes(), "the same samples, as codes"
    dynamic = paired_pieces((small_net(), made("int8_dynamic")), ({"x": x}, {"x": x}))
    assert len(dynamic) == 260, "one at a time for both, if for one"


def test_a_batch_beside_a_fixed_size_goes_at_once() -> None:
    b = Builder("fixed")
    fixed = b.graph([b.node("Relu", [b.input("x", (3, 2))], name="y")])
    b = Builder("batch")
    batch = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    x = {"x": np.zeros((300, 2), np.float32)}
    assert len(paired_pieces((batch, fixed), (x, x))) == 1, "nobody cuts the fixed size"
