"""A recurrent layer is a product a direction, then one step for all that depends on the state."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from tests.runtime.lower.steps import kernels, session_of


@pytest.mark.parametrize(("op", "gates"), [("GRU", 3), ("LSTM", 4)])
def test_two_directions_are_one_walk(op: str, gates: int, tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", "T", 2))
    shapes = {"w": (2, gates * 3, 2), "r": (2, gates * 3, 3)}
    weights = [b.constant(name, np.zeros(shape, np.float32)) for name, shape in shapes.items()]
    given: dict[str, Any] = {"hidden_size": 3, "layout": 1, "direction": "bidirectional"}
    outputs = ["y", *(f"s{i}" for i in range(gates - 2))]
    b.node_with(op, [x, *weights], outputs, name="walk", attributes=given)
    session = session_of(tmp_path, b.graph(outputs))
    assert kernels(session) == ["gemm_f32", "gemm_f32", op.lower()], "two products, one walk"
    got = session.run({"x": np.ones((2, 4, 2), np.float32)})
    assert not got["y"].any(), "weights of 0 give 0"
    assert got["y"].shape == (2, 4, 2, 3), "(N, T, D, H)"
