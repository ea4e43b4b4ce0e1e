"""Transpositions move and meet; no output changes a bit, with NaN and -0.0 in what is moved."""

from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant, State
from refquant.model.importers.onnx_layout import settled

F = np.float32
LAST, FIRST = (0, 2, 3, 1), (0, 3, 1, 2)
ORT = preset("ort")
SIZES = (2, 3, 4)  # channels, height, width


def wild(*shape: int) -> Any:
    rng = np.random.default_rng(len(shape))
    x = rng.normal(size=shape).astype(F)
    for number in (np.nan, -0.0, 0.0, np.inf, 1e-40):
        x[rng.random(shape) < 0.05] = number
    return x


class Net:
    """x (N, 2, 3, 4), and what is read as (N, 3, 4, 2)."""

    def __init__(self, *, codes: bool = False) -> None:
        self.b = Builder("g")
        quant = Quant(0.5, 3) if codes else None
        self.x = self.b.input("x", ("N", *SIZES), dtype="uint8" if codes else "float32",
                              quant=quant)  # fmt: skip
        self.last = self.turn(self.x, LAST)

    def turn(self, x: str, perm: tuple[int, ...]) -> str:
        return self.b.node("Transpose", [x], attributes={"perm": perm})

    def done(self, y: str, *, back: bool = True) -> Graph:
        return self.b.graph([self.b.node("Identity", [self.turn(y, FIRST) if back else y])])


def same(graph: Graph, left: int, *, codes: bool = False) -> Graph:
    """Check that the pass leaves ``left`` transpositions, and every bit."""
    made = settled(graph)
    count = sum(node.op == "Transpose" for node in made.nodes)
    assert count == left, f"{[(n.op, n.inputs) for n in made.nodes]}"
    x = wild(3, *SIZES)
    if codes:
        x = np.random.default_rng(0).integers(0, 256, x.shape).astype(np.uint8)
    before, after = run(graph, {"x": x}), run(made, {"x": x})
    for name, array in before.items():
        bits = array.tobytes(), after[name].tobytes()
        assert np.array_equal(array, after[name], equal_nan=array.dtype == F), f"{name}"
        assert np.isnan(array.astype(F)).any() or bits[0] == bits[1], f"{name}: signs of zeros"
    return made


def row(n: Net, *shape: int) -> str:
    return n.b.constant(f"c{len(n.b.constants)}", np.random.default_rng(9).normal(size=shape)
                        .astype(F))  # fmt: skip


BINARY = ("Add", "Sub", "Mul", "Div", "Max", "Min")
UNARY = ("Relu", "Sigmoid", "Tanh", "Abs", "Neg", "Floor", "Round", "Identity")


@pytest.mark.parametrize("op", UNARY)
def test_functions_of_one(op: str) -> None:
    n = Net()
    same(n.done(n.b.node(op, [n.last])), 0)


@pytest.mark.parametrize("shape", [(2,), (4, 1), (1, 1, 1, 2), (3, 4, 2), ()])
@pytest.mark.parametrize("op", BINARY)
def test_functions_of_two_turn_constants_back(op: str, shape: tuple[int, ...]) -> None:
    n = Net()
    h = n.b.node(op, [n.last, row(n, *shape)])
    same(n.done(n.b.node(op, [row(n, *shape), n.b.node(op, [h, n.last])])), 0)


def test_a_choice() -> None:
    n = Net()
    less = n.b.node("Less", [n.last, row(n, 2)])
    same(n.done(n.b.node("Where", [less, n.last, row(n, 3, 1, 1)])), 0)


@pytest.mark.parametrize("axis", [1, 2, 3, -1])
def test_along_one_axis(axis: int) -> None:
    n = Net()
    h = n.b.node("Softmax", [n.last], attributes={"axis": axis})
    both = n.b.node("Concat", [h, n.last], attributes={"axis": axis})
    places = n.b.constant("p", np.array([1, 0, 1], np.int32))
    same(n.done(n.b.node("Gather", [both, places], attributes={"axis": axis % 4})), 0)


def test_borders_and_parts() -> None:
    n = Net()
    h = n.b.node("Pad", [n.last], attributes={"pads": (0, 1, 2, 0, 0, 0, 3, 1), "value": 7.0})
    given = {"starts": (1, 0), "ends": (4, 2), "axes": (2, -1)}
    same(n.done(n.b.node("Slice", [h], attributes=given)), 0)


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"])
def test_reductions_whose_axes_keep_their_order(op: str) -> None:
    n = Net()
    kept = n.b.node(op, [n.last], attributes={"axes": (1, 2), "keepdims": 1})
    same(n.done(n.b.node("Mul", [n.last, kept])), 0)
    n = Net()
    gone = n.b.node(op, [n.last], attributes={"axes": (1, 2), "keepdims": 0})
    made = same(n.done(gone, back=False), 0)
    assert next(node.op for node in made.nodes) == op, "(N, C) is in order"
    n = Net()
    rows = n.b.node(op, [n.last], attributes={"axes": (-1,), "keepdims": 0})
    same(n.done(rows, back=False), 0)


@pytest.mark.parametrize("op", ["ReduceMean", "ReduceSum"])
def test_a_sum_in_another_order_stays(op: str) -> None:
    n = Net()  # (h, c) of the last layout is (c, h) of the first
    total = n.b.node(op, [n.last], attributes={"axes": (1, 3), "keepdims": 1})
    back = n.turn(total, FIRST)
    same(n.b.graph([n.b.node("Neg", [back])]), 2)


def test_two_layouts_do_not_mix() -> None:
    n = Net()
    other = n.b.input("z", ("N", 3, 4, 2))
    y = n.turn(n.b.node("Add", [n.b.node("Relu", [n.last]), other]), FIRST)
    made = settled(n.b.graph([n.b.node("Neg", [y])]))
    assert sum(node.op == "Transpose" for node in made.nodes) == 2, "one is already in order"


def test_operators_with_axes_of_their_own_get_what_they_read() -> None:
    n = Net()
    h = n.b.node("Relu", [n.last])
    flat = n.b.node("Reshape", [h], attributes={"shape": (0, -1)})
    same(n.b.graph([flat]), 1)


def test_codes_and_tables() -> None:
    n = Net(codes=True)
    table = n.b.constant("t", np.arange(256, dtype=np.uint8)[::-1].copy())
    h = n.b.node("Sigmoid", [n.last, table], contract=ORT, dtype="uint8", quant=Quant(0.25, 1))
    c = n.b.constant("c", np.array([[[[3, 200]]]], np.uint8), quant=Quant(0.125, 7))
    s = n.b.node("Add", [h, c], contract=ORT, dtype="uint8", quant=Quant(0.5, 9))
    same(n.done(n.b.node("DequantizeLinear", [s], contract=ORT)), 0, codes=True)


def test_outputs_and_states_keep_their_names_and_order() -> None:
    b = Builder("g")
    x, h = b.input("x", ("N", 2, 3)), b.input("h", ("N", 3, 2))
    turned = b.node("Transpose", [x], name="t", attributes={"perm": (0, 2, 1)})
    y = b.node("Relu", [b.node("Transpose", [turned], attributes={"perm": (0, 2, 1)})], name="y")
    graph = b.graph([b.node("Add", [turned, h], name="z"), y], states=[State("h", "h", "t")])
    made = settled(graph)
    assert made.outputs == graph.outputs, "the outputs"
    assert made.states == graph.states, "the states"
    assert sum(node.op == "Transpose" for node in made.nodes) == 1, "what the state becomes"


def test_a_graph_without_gain_is_left_alone() -> None:
    n = Net()
    graph = n.b.graph([n.b.node("Softmax", [n.last], attributes={"axis": 1})])
    assert settled(graph) is graph, "one before, one after"


@pytest.mark.parametrize("seed", range(20))
def test_chains_of_anything(seed: int) -> None:
    rng, n = np.random.default_rng(seed), Net()
    h, z = n.last, n.b.node("Neg", [n.last])
    for _ in range(8):
        kind = rng.integers(6)
        if kind == 0:
            perm = tuple(int(p) for p in (0, *(1 + rng.permutation(3))))
            h = n.turn(h, perm)
            z = n.turn(z, perm)
        elif kind == 1:
            h = n.b.node(str(rng.choice(UNARY)), [h])
        elif kind == 2:
            h = n.b.node(str(rng.choice(BINARY)), [h, z])
        elif kind == 3:
            shape = [1 if rng.random() < 0.5 else int(d) for d in n.b.values[h].shape[1:]]
            h = n.b.node(str(rng.choice(BINARY)), [h, row(n, *shape[int(rng.integers(3)) :])])
        elif kind == 4:
            axis = int(rng.integers(1, 4))
            h = n.b.node("Softmax", [h], attributes={"axis": axis})
        else:
            axes = tuple(int(a) for a in sorted(1 + rng.permutation(3)[: rng.integers(1, 3)]))
            mean = n.b.node("ReduceMean", [h], attributes={"axes": axes, "keepdims": 1})
            h = n.b.node("Sub", [h, mean])
    graph = n.b.graph([h, z])
    made = settled(graph)
    x = {"x": np.random.default_rng(seed).normal(size=(2, *SIZES)).astype(F)}
    for name, array in run(graph, x).items():
        assert array.tobytes() == run(made, x)[name].tobytes(), f"{name}"
