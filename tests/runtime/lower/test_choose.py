"""How choices become steps: broadcasts without copies, axes apart by one turn."""

from pathlib import Path

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant_runtime import UnsupportedError
from tests.runtime.lower.steps import kernels, session_of


def test_a_broadcast_is_no_copy(tmp_path: Path) -> None:
    b = Builder("g")
    x, z = b.input("x", ("N", 4, 1)), b.input("z", ("N", 1, 3))
    y = b.node("Where", [b.node("Less", [x, z]), x, z], name="y")
    session = session_of(tmp_path, b.graph([y]))
    assert kernels(session) == ["compare", "select"], "strides of 0"
    a, c = np.arange(4, dtype=np.float32).reshape(1, 4, 1), np.full((1, 1, 3), 2, np.float32)
    assert np.array_equal(session.run({"x": a, "z": c})["y"], np.minimum(a, c)), "the smaller one"


def test_axes_apart_are_turned_once(tmp_path: Path) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 3, 4))
    y = b.node("ReduceMax", [x], attributes={"axes": (1, 3)}, name="y")
    assert kernels(session_of(tmp_path, b.graph([y]))) == ["move", "extreme"], "then neighbours"


def test_five_dimensions_are_one_too_many(tmp_path: Path) -> None:
    b = Builder("g")
    x, z = b.input("x", ("N", 2, 1, 2, 1, 2)), b.input("z", ("N", 1, 2, 1, 2, 1))
    with pytest.raises(UnsupportedError, match="this broadcast needs 5 dimensions"):
        session_of(tmp_path, b.graph([b.node("Equal", [x, z], name="y")]))
