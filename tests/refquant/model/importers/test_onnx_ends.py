"""Branches in place, and graphs without what nobody reads."""

from refquant.model.build import Builder
from refquant.model.importers.onnx_ends import OnnxUnsupportedError, inlined, without_unused
from refquant.model.importers.onnx_model import OnnxGraph, OnnxNode


def test_a_branch_in_a_branch_keeps_the_names_of_both() -> None:
    deep = OnnxGraph("deep", (), ("d",), (OnnxNode("d", "Add", ("outer", "own"), ("d",)),), {})
    nodes = (
        OnnxNode("o", "Relu", ("x",), ("own",)),
        OnnxNode("i", "If", ("c",), ("z",), {"then_branch": deep}),
    )
    got = inlined(OnnxGraph("then", (), ("z",), nodes, {}), "if/")
    assert got.nodes[0].outputs == ("if/own",), "its own names"
    assert got.nodes[1].inputs == ("c",), "names from around it stay"
    inner = got.nodes[1].attributes["then_branch"]
    assert inner.nodes[0].inputs == ("outer", "if/own"), "and the inner one sees the new names"
    assert inner.outputs == ("d",), "what is its own stays"


def test_what_nobody_reads_is_gone() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    b.node("Neg", [b.node("Exp", [x], name="e")], name="unused")
    graph = without_unused(b, [b.node("Relu", [x], name="y")], {})
    assert (set(graph.values), graph.inputs) == ({"x", "y"}, ("x",)), "inputs stay"


def test_the_error_is_a_list() -> None:
    error = OnnxUnsupportedError([("a", "X", "why"), ("b", "Y", "so")])
    assert str(error).splitlines() == ["2 nodes cannot be imported:", "  a (X): why", "  b (Y): so"]
