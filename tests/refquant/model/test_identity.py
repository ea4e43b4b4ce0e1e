"""Identity goes, bit for bit, and stays where it gives a second name."""

from collections.abc import Mapping

import numpy as np

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph
from refquant.model.identity import remove_identity
from refquant.model.validate import validate

F32 = np.float32


def test_identity_disappears_bit_for_bit(zoo: Mapping[str, Graph]) -> None:
    graph = zoo["float_cnn"]
    removed = remove_identity(graph)
    validate(removed)
    assert len(removed.nodes) == len(graph.nodes) - 1, "there was one"
    x = np.random.default_rng(0).standard_normal((3, 2, 6, 6)).astype(F32)
    before, after = run(graph, {"x": x})["y"], run(removed, {"x": x})["y"]
    assert before.tobytes() == after.tobytes(), "a copy changes nothing"
    assert "BatchNormalization" not in {n.op for n in fold(graph).nodes}, "fold does both"


def test_chains_of_identities_and_outputs() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    h = b.node("Relu", [x], name="h")
    a = b.node("Identity", [b.node("Identity", [h], name="i")], name="a")
    other = b.node("Neg", [h], name="other")
    copy = b.node("Identity", [x], name="copy")
    graph = b.graph([a, other, copy, b.node("Identity", [a], name="again")])
    removed = remove_identity(graph)
    validate(removed)
    left = {n.name for n in removed.nodes if n.op == "Identity"}
    assert left == {"copy", "again"}, "an input and an output need their second name"
    inputs = {"x": np.array([[1, -1]], F32)}
    assert removed.outputs == graph.outputs, "names are kept"
    for name, array in run(graph, inputs).items():
        assert run(removed, inputs)[name].tobytes() == array.tobytes(), name
