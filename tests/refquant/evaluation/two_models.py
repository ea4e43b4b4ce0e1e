"""A model and what was made of it: the same names, other numbers."""

from typing import Any

import numpy as np

from refquant.model.build import Builder
from refquant.model.graph import Graph


def chain(*factors: float, inputs: str = "x", last: str = "y") -> Graph:
    """x (N, 2) times each factor in turn: values h0, h1, ... and the last one."""
    b = Builder("chain")
    x = b.input(inputs, ("N", 2))
    for i, factor in enumerate(factors):
        name = last if i == len(factors) - 1 else f"h{i}"
        x = b.node("Mul", [x, b.constant(f"w{i}", np.full(1, factor, np.float32))], name=name)
    return b.graph([x])


def small_net(scale: float = 1.0) -> Graph:
    """Four numbers in, a hidden layer with a `Relu`, three scores out."""
    rng = np.random.default_rng(1)
    b = Builder("net")
    arrays: Any = (rng.standard_normal(s) * scale for s in ((4, 8), (8, 3)))
    w1, w2 = (b.constant(f"w{i}", a.astype(np.float32)) for i, a in enumerate(arrays, 1))
    h = b.node("MatMul", [b.input("x", ("N", 4)), w1], name="first")
    return b.graph([b.node("MatMul", [b.node("Relu", [h], name="relu"), w2], name="y")])
