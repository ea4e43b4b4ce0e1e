"""Which Relu and Clip fuse, which must not, and that the fused plan has the same bits."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.check import bind
from refquant_runtime.graph import Graph
from refquant_runtime.passes.fuse import fuse_bounds
from refquant_runtime.read_graph import read_graph


def network(folder: Path, op: str, attributes: dict[str, Any], *, layer: str, twice: bool) -> Any:
    """x -> layer -> op, read a second time or not."""
    b = Builder("fuse")
    x = b.input("x", ("N", 4))
    w = b.constant("w", np.array([[1, -1], [0.5, 2], [-3, 1], [2, 2]], np.float32))
    h = b.node("MatMul", [x, w], name="h") if layer == "MatMul" else b.node("Add", [x, x], name="h")
    y = b.node(op, [h], name="y", attributes=attributes)
    outputs = [y, b.node("Neg", [h], name="n")] if twice else [y]
    graph = b.graph(outputs)
    path = folder / "m.rq"
    write_rq(path, graph)
    return path, graph


def fused(path: Path) -> Graph:
    return fuse_bounds(bind(read_graph(path), 1)[0])


@pytest.mark.parametrize(
    ("op", "attributes", "layer", "twice", "nodes"),
    [
        ("Relu", {}, "MatMul", False, 1),
        ("Relu", {}, "Add", False, 1),  # Add can give -0.0: the clamp makes it +0.0, as Relu does
        ("Clip", {"min": -1.0, "max": 2.0}, "Add", False, 1),
        ("Clip", {"min": 0.0, "max": 6.0}, "MatMul", False, 1),
        ("Clip", {"min": 0.0, "max": 6.0}, "Add", False, 2),  # Clip keeps -0.0, a clamp does not
        ("Clip", {"min": -0.0, "max": 6.0}, "MatMul", False, 2),
        ("Relu", {}, "MatMul", True, 3),  # somebody else reads the layer
        ("Tanh", {}, "MatMul", False, 2),
    ],
)
def test_what_fuses(
    op: str, attributes: dict[str, Any], layer: str, twice: bool, nodes: int, tmp_path: Path
) -> None:
    path, graph = network(tmp_path, op, attributes, layer=layer, twice=twice)
    names = [node.op for node in fused(path).nodes]
    assert len(names) == nodes, f"{op} after {layer}: {names}"
    x = np.array([[0, -0.0, 1, -1], [-0.0, -0.0, -0.0, -0.0], [9, -9, 0.5, 3],
                  [np.nan, 1, 1, 1], [np.inf, 0, 0, -np.inf]], np.float32)  # fmt: skip
    with np.errstate(invalid="ignore"):
        expected = run(graph, {"x": x})
    session = Session(path, threads=1)
    actual = session.run({"x": x})
    for name in graph.outputs:
        same = (actual[name].view(np.int32) == expected[name].view(np.int32)) | (
            np.isnan(actual[name]) & np.isnan(expected[name])
        )
        assert same.all(), f"{op} after {layer}: {actual[name]} is not {expected[name]}"


def test_a_fused_layer_gives_the_name_of_the_last(tmp_path: Path) -> None:
    path, _ = network(tmp_path, "Relu", {}, layer="MatMul", twice=False)
    (node,) = fused(path).nodes
    assert (node.op, node.outputs) == ("MatMul", ("y",)), f"{node}"
    bounds = node.attributes["fused_min"], node.attributes["fused_max"]
    assert bounds == (0.0, float("inf")), f"Relu bounds from below only: {bounds}"
