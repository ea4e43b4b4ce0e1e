"""Gains and shifts that move: where a bias is, where none is, where nobody may take them."""

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.rotate import rotate
from refquant.model.rotate_find import Links
from refquant.model.rotate_norm import inside, with_biases
from tests.refquant.model.rotation_zoo import NEARLY, Maker, likeness


def stream(reader: str) -> Graph:
    """Two LayerNorms on one stream of 8; what reads the first one is ``reader``."""
    b = Maker("g")
    x = b.linear(b.input("i", ("N", 8)), 8, "x")
    h = b.norm("LayerNormalization", x, "n1")
    w = b.weight("w", 8, 8)
    if reader == "gemm":
        y = b.node("Gemm", [h, w, b.weight("bias", 8)], name="y", attributes={"transB": 1})
    elif reader == "gemm without":
        y = b.node("Gemm", [h, w], name="y")
    elif reader == "shared bias":
        bias = b.weight("bias", 8)
        y = b.node("Add", [bias, b.node("MatMul", [h, w], name="p")], name="p+")
        y = b.node("Add", [y, bias], name="y")
    elif reader == "not the only one":
        p = b.node("MatMul", [h, w], name="p")
        y = b.node("Mul", [p, b.node("Add", [p, b.weight("bias", 8)], name="p+")], name="y")
    else:
        y = b.linear(h, 8, "y", bias=reader == "bias")
    z = b.node("Add", [x, y], name="z")
    return b.graph([b.linear(b.norm("LayerNormalization", z, "n2"), 8, "out")])


READERS = ("bias", "no bias", "gemm", "gemm without", "shared bias", "not the only one")


@pytest.mark.parametrize("reader", READERS)
def test_a_shift_goes_where_a_bias_is_or_makes_one(reader: str) -> None:
    graph = stream(reader)
    turned, records = rotate(graph, how="fused", seed=0)
    assert records[0]["kind"] == "R1", records[0]
    assert likeness(graph, turned) >= NEARLY, f"{reader}: {likeness(graph, turned)} dB"
    assert not any(n.op == "LayerNormalization" for n in turned.nodes), "no mean is left to take"
    for node in turned.nodes:
        if node.op == "RMSNormalization":
            assert (turned.constants[node.inputs[1]] == 1).all(), "no gain is left"


def test_an_add_is_made_where_there_is_no_bias_and_nowhere_else() -> None:
    for reader in READERS:
        graph = stream(reader)
        grown = with_biases(graph, ["n1", "n2"])
        added = len(grown.nodes) - len(graph.nodes)
        needs = reader in ("no bias", "gemm without", "not the only one")
        assert added == int(needs), f"{reader}: {added} nodes more"
        assert likeness(graph, grown) == np.inf, "zeros change nothing"
    assert with_biases(graph, []) == graph, "for norms that are asked for"


def test_a_norm_that_others_read_is_turned_back() -> None:
    """Its gain and shift follow: what the graph gives has its name and its numbers."""
    for op in ("LayerNormalization", "RMSNormalization"):
        b = Maker("g")
        x = b.linear(b.input("i", ("N", 8)), 8, "x")
        y = b.linear(b.norm(op, x, "n1"), 8, "y")
        z = b.node("Add", [x, y], name="z")
        g = b.graph([b.norm(op, z, "n2")])
        turned, records = rotate(g, how="fused", seed=0)
        assert (records[0]["kind"], records[0]["while_running"]) == ("R1", 1), records
        ops = [n.op for n in turned.nodes][-4:]
        tail = ["RMSNormalization", "Hadamard", "Mul", "Add"]
        assert ops[-3 if op[0] == "R" else 0 :] == tail[: 3 if op[0] == "R" else 4], f"{ops}"
        assert likeness(g, turned) >= NEARLY, f"{op}: {likeness(g, turned)} dB"


def test_who_counts_as_a_reader_inside() -> None:
    b = Maker("g")
    x = b.input("x", ("N", 8))
    a, c, d = (b.norm("RMSNormalization", x, name) for name in "acd")
    y = b.linear(a, 4, "y", bias=False)
    square = b.node("Mul", [c, c], name="s")
    g = b.graph([y, square, d])
    links = Links.of(g)
    norms = {n.name: n for n in g.nodes}
    assert [n.name for n in inside(links, norms["a"])] == ["y"], "a product with a constant"
    assert inside(links, norms["c"]) == (), "no product"
    assert inside(links, norms["d"]) == (), "an output of the graph"
