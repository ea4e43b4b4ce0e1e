"""A transposed convolution becomes a stuffed image and a convolution by the mirrored kernel."""

from pathlib import Path

import numpy as np

from refquant.model.build import Builder
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.check import bind
from refquant_runtime.passes.transposed import convolved
from refquant_runtime.read_graph import read_graph


def test_by_hand(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 2))
    taken = b.node("Neg", [x], name="up/stuffed")  # the name that the pass would take
    w = b.constant("w", np.array([[[1, 10]], [[0, 100]]], np.float32))
    y = b.node("ConvTranspose", [taken, w], name="up", attributes={"strides": (2,)})
    write_rq(tmp_path / "m.rq", b.graph([y]))
    graph = convolved(bind(read_graph(tmp_path / "m.rq"), 1)[0])
    assert [node.op for node in graph.nodes] == ["Neg", "Stuff", "Conv"], "two for one"
    stuffed = graph.values[graph.nodes[1].outputs[0]]
    assert stuffed.name != "up/stuffed", "a name of its own"
    assert stuffed.shape == (1, 2, 3), "a zero between two"
    mirrored = graph.values[graph.nodes[2].inputs[1]]
    assert mirrored.data is not None, "a constant"
    assert mirrored.data.tolist() == [[[10, 1], [100, 0]]], "mirrored, its channels exchanged"
    got = Session(tmp_path / "m.rq", threads=1).run({"x": -np.ones((1, 2, 2), np.float32)})
    assert got["up"].tolist() == [[[1, 110, 1, 110]]], "1 * (1, 10) + 1 * (0, 100), twice"
