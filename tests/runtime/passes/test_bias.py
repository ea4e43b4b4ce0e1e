"""Which additions become the bias of the product before them, and that the bits stay."""

from pathlib import Path

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import write_rq
from refquant_runtime import Session
from refquant_runtime.check import bind
from refquant_runtime.passes.bias import fuse_bias
from refquant_runtime.read_graph import read_graph

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("shape", "twice", "turned", "fuses"),
    [((3,), False, False, True), ((3,), False, True, True), ((3,), True, False, False),
     ((1,), False, False, False), ((4, 3), False, False, False)],
)  # fmt: skip
def test_what_fuses(
    shape: tuple[int, ...], twice: bool, turned: bool, fuses: bool, tmp_path: Path
) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 4, 5))
    w = b.constant("w", RNG.standard_normal((5, 3)).astype(np.float32))
    bias = b.constant("bias", RNG.standard_normal(shape).astype(np.float32))
    h = b.node("MatMul", [x, w], name="h")
    y = b.node("Add", [bias, h] if turned else [h, bias], name="y")
    graph = b.graph([y, b.node("Neg", [h], name="n")] if twice else [y])
    write_rq(tmp_path / "m.rq", graph)
    nodes = fuse_bias(bind(read_graph(tmp_path / "m.rq"), 1)[0]).nodes
    assert ("Add" not in [node.op for node in nodes]) is fuses, f"{[n.op for n in nodes]}"
    feeds = {"x": RNG.standard_normal((2, 4, 5)).astype(np.float32)}
    got = Session(tmp_path / "m.rq", threads=1).run(feeds)
    assert got["y"].tobytes() == run(graph, feeds)["y"].tobytes(), "the same bits"
