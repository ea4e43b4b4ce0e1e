"""A network of words: a table, a GRU both ways, a product with a bias and one without."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.build import Builder
from refquant.model.graph import Graph

WORDS, WIDTH, HIDDEN = 24, 16, 8


def small_gru(*, op: str = "GRU", tied: bool = False) -> Graph:
    """Build it: ids (N, T) in, scores (N, T, words) out; ``tied``: the head is the table."""
    rng = np.random.default_rng(11)
    gates = {"GRU": 3, "LSTM": 4}[op]
    b = Builder("small_gru")

    def constant(name: str, *shape: int) -> str:
        return b.constant(name, (rng.standard_normal(shape) / 2).astype(np.float32))

    ids = b.input("ids", ("N", "T"), dtype="int32")
    x = b.node("Gather", [constant("table", WORDS, WIDTH), ids], name="embedding")
    w = constant("w", 2, gates * HIDDEN, WIDTH)
    r, bias = constant("r", 2, gates * HIDDEN, HIDDEN), constant("rb", 2, 2 * gates * HIDDEN)
    states = b.node_with(
        op, [x, w, r, bias], [f"{op}.{i}" for i in range(gates - 1)], name="rnn",
        attributes={"hidden_size": HIDDEN, "layout": 1, "direction": "bidirectional"},
    )  # fmt: skip
    y = b.node("ReduceMean", [states[0]], name="both", attributes={"axes": [2], "keepdims": 0})
    y = b.node("MatMul", [y, constant("up.w", HIDDEN, WIDTH)], name="up")
    y = b.node("Add", [y, constant("up.b", WIDTH)], name="up.bias")
    head = b.constants["table"].T.copy() if tied else None
    head_name = b.constant("head", head) if head is not None else constant("head", WIDTH, WORDS)
    return b.graph([b.node("MatMul", [y, head_name], name="logits")])


def words(count: int, length: int = 6, *, seed: int = 1) -> dict[str, NDArray[Any]]:
    """Draw sentences for it."""
    rng = np.random.default_rng(seed)
    return {"ids": rng.integers(0, WORDS, (count, length)).astype(np.int32)}
