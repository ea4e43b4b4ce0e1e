"""An LSTM of dynamic codes is one step, and has the bits of the reference."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant
from tests.runtime.lower.steps import kernels, session_of


def layer(direction: str, *, biased: bool, states: bool, per: str, size: int = 5) -> Graph:
    rng, b = np.random.default_rng(size), Builder("g")
    d = 2 if direction == "bidirectional" else 1
    x, weights = b.input("x", ("N", "T", 3)), []
    for name, k in (("w", 3), ("r", size)):
        shape = {"tensor": (), "direction": (d, 1, 1), "row": (d, 4 * size, 1)}[per]
        scale = rng.uniform(0.001, 0.02, shape).astype(np.float32)
        block = {"tensor": None, "direction": (1, 4 * size, k), "row": (1, 1, k)}[per]
        quant = Quant(float(scale), 0) if block is None else Quant(
            b.constant(f"{name}/scale", scale), 0, block)  # fmt: skip
        codes = rng.integers(-127, 128, (d, 4 * size, k)).astype(np.int8)
        weights.append(b.constant(name, codes, quant=quant))
    bias = b.constant("b", rng.normal(size=(d, 8 * size)).astype(np.float32)) if biased else ""
    first = [b.input(name, ("N", d, size)) for name in ("h", "c")] if states else []
    inputs = [x, *weights, bias, "", *first]
    while not inputs[-1]:
        inputs.pop()
    given: dict[str, Any] = {"hidden_size": size, "layout": 1, "direction": direction}
    b.node_with("DynamicQuantizeLSTM", inputs, ["y", "yh", "yc"], name="walk", attributes=given,
                contract=preset("ort"))  # fmt: skip
    return b.graph(["y", "yh", "yc"])


@pytest.mark.parametrize("per", ["tensor", "direction", "row"])
@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
def test_it_has_the_bits_of_the_reference(direction: str, per: str, tmp_path: Path) -> None:
    rough = direction != "forward"
    graph = layer(direction, biased=rough or per == "row", states=rough, per=per)
    session = session_of(tmp_path, graph)
    assert kernels(session) == ["dynamic_lstm"], "codes, products and gates in one walk"
    rng = np.random.default_rng(0)
    for steps in (1, 4):
        x = {"x": rng.normal(size=(3, steps, 3)).astype(np.float32)}
        x["x"][1] = 0  # a range of nothing
        d = 2 if direction == "bidirectional" else 1
        x |= {n: rng.normal(size=(3, d, 5)).astype(np.float32) for n in graph.inputs[1:]}
        want, got = run(graph, x), session.run(x)
        for name in want:
            assert np.array_equal(want[name], got[name]), f"{direction} {per} {steps}: {name}"
