"""The order of nodes, names from around a branch, cycles."""

import pytest

from refquant.model.importers.onnx_model import (
    OnnxGraph,
    OnnxInput,
    OnnxNode,
    captured,
    check_graph,
    sort_nodes,
    used_by,
)
from refquant.model.importers.onnx_wire import OnnxFormatError

X = OnnxInput("x", "float32", (1,))


def graph(*nodes: OnnxNode) -> OnnxGraph:
    return OnnxGraph("g", (X,), ("z",), nodes, {})


def test_any_order_becomes_one_of_execution() -> None:
    chain = [OnnxNode(f"n{i}", "Relu", (f"v{i}",), (f"v{i + 1}",)) for i in range(50)]
    mixed = [chain[(i * 17) % 50] for i in range(50)]
    assert list(sort_nodes(mixed)) == chain, "a chain has one order"
    assert sort_nodes(chain) == tuple(chain), "what is in order stays"


def test_a_branch_waits_for_what_it_reads() -> None:
    inner = OnnxGraph("then", (), ("b",), (OnnxNode("i", "Relu", ("late",), ("b",)),), {})
    branch = OnnxNode("if", "If", ("x",), ("z",), {"then_branch": inner})
    late = OnnxNode("late", "Relu", ("x",), ("late",))
    assert used_by(branch) == ["x", "late"], "names from around the branch"
    assert [n.name for n in check_graph(graph(branch, late)).nodes] == ["late", "if"], "sorted"
    assert captured(inner) == {"late"}, "not what it makes itself"


def test_circles_and_names_twice() -> None:
    ring = [OnnxNode(f"n{i}", "Relu", (f"v{i}",), (f"v{(i + 1) % 3}",)) for i in range(3)]
    with pytest.raises(OnnxFormatError, match=r"\['n0', 'n1', 'n2'\] wait for each other"):
        check_graph(graph(*ring))
    with pytest.raises(OnnxFormatError, match="a circle"):
        sort_nodes([OnnxNode("n", "Add", ("y", "x"), ("y",))])
    with pytest.raises(OnnxFormatError, match="'x' stands for two values"):
        check_graph(graph(OnnxNode("n", "Relu", ("x",), ("x",))))


def test_a_node_without_name_is_called_by_what_it_makes() -> None:
    assert OnnxNode("", "Relu", ("x",), ("", "y")).label == "y", "the first output there is"
