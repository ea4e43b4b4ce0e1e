"""Bytes by hand."""

import numpy as np

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant
from refquant.report.sizes import breakdown, kinds, largest, parameters_of


def graph() -> Graph:
    """A weight of 5 x 3 four-bit codes with 5 scales, and a bias of 3."""
    b = Builder("g")
    b.constant("w/scale", np.ones((5, 1), np.float32))
    w = b.constant("w", np.zeros((5, 3), np.int8), dtype="int4", quant=Quant("w/scale", 0, (1, 3)))
    h = b.node("MatMul", [b.input("x", ("N", 5)), w], name="h", contract=preset("ort"))
    return b.graph([b.node("Add", [h, b.constant("bias", np.zeros(3, np.float32))], name="y")])


def test_every_constant_is_of_one_kind() -> None:
    g = graph()
    assert kinds(g) == {
        "w": "weights, int4", "w/scale": "parameters, float32", "bias": "other, float32",
    }  # fmt: skip
    assert parameters_of(g) == {"w/scale"}, f"{parameters_of(g)}"


def test_bytes_are_those_of_the_file() -> None:
    found = breakdown(graph(), 100)
    assert list(found.items()) == [
        ("weights, int4", 8),  # 15 codes of half a byte
        ("parameters, float32", 20),
        ("other, float32", 12),
        ("graph and header", 60),
    ]
    assert sum(found.values()) == 100, "all of it"
    assert "graph and header" not in breakdown(graph(), None), "of another file"


def test_the_largest_are_beside_each_other() -> None:
    b = Builder("f")
    w = b.constant("w", np.zeros((5, 3), np.float32))
    a = b.graph([b.node("MatMul", [b.input("x", ("N", 5)), w], name="y")])
    found = largest(a, graph(), 2)
    assert [(name, dict(sides)) for name, sides in found] == [
        ("w", {"a": ("weights, float32", 60), "b": ("weights, int4", 8)}),
        ("w/scale", {"b": ("parameters, float32", 20)}),
    ]
