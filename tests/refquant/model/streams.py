"""Small graphs with states: what the tests of streams share."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Graph, Quant, State

WIDTH, HIDDEN = 3, 4


def reals(*shape: int, seed: int = 0) -> NDArray[np.float32]:
    return np.random.default_rng(seed + sum(shape)).standard_normal(shape).astype(np.float32)


def sums() -> Graph:
    """total = x + what the total was; from 1, 2 on."""
    b = Builder("sums")
    first = b.constant("first", np.array([[1, 2]], np.float32))
    y = b.node("Add", [b.input("x", ("N", 2)), b.input("before", ("N", 2))], name="total")
    return b.graph([y], states=[State("sum", "before", "total", first)])


def delays() -> Graph:
    """y = x of two steps before: a state that is an input, and one that is the other state."""
    b = Builder("delays")
    one, two = b.input("one", ("N", 2)), b.input("two", ("N", 2))
    x = b.input("x", ("N", 2))
    y = b.node("Identity", [two], name="y")
    return b.graph([y], states=[State("near", one, x), State("far", two, one)])


def lstm(*, length: str | int = "T", batch: str | int = "N", hidden: bool = True) -> Graph:
    """A forward LSTM of which h and c are states, and a head; ``hidden``: they are no outputs."""
    b = Builder("lstm")
    x = b.input("x", (batch, length, WIDTH))
    h, c = b.input("h", (batch, 1, HIDDEN)), b.input("c", (batch, 1, HIDDEN))
    w = b.constant("w", reals(1, 4 * HIDDEN, WIDTH))
    r = b.constant("r", reals(1, 4 * HIDDEN, HIDDEN))
    bias = b.constant("rb", reals(1, 8 * HIDDEN))
    made = b.node_with(
        "LSTM", [x, w, r, bias, "", h, c], ["steps", "hn", "cn"], name="rnn",
        attributes={"hidden_size": HIDDEN, "layout": 1},
    )  # fmt: skip
    y = b.node("MatMul", [made[0], b.constant("head", reals(HIDDEN, 2))], name="y")
    outputs = [y] if hidden else [y, "hn", "cn"]
    return b.graph(outputs, states=[State("h", "h", "hn"), State("c", "c", "cn")])


def leaky(*, initial: bool = False) -> Graph:
    """h = tanh(h W + x U), a plain recurrent network of products that every scheme quantizes."""
    b = Builder("leaky")
    first = b.constant("first", np.full((1, 4), 0.5, np.float32)) if initial else ""
    x, h = b.input("x", ("N", 3)), b.input("h", ("N", 4))
    old = b.node("MatMul", [h, b.constant("w", reals(4, 4) / 2)], name="old")
    new = b.node("MatMul", [x, b.constant("u", reals(3, 4) / 2)], name="new")
    state = b.node("Tanh", [b.node("Add", [old, new], name="sum")], name="state")
    y = b.node("MatMul", [state, b.constant("v", reals(4, 2))], name="y")
    return b.graph([y], states=[State("h", h, state, first)])


def codes() -> Graph:
    """A buffer of three int8 frames that moves on by one a step, and a product of what is in it."""
    b, quant, contract = Builder("codes"), Quant(0.5, 3), preset("ort")
    x = b.input("x", ("N", 1, 4), dtype="int8", quant=quant)
    old = b.input("old", ("N", 3, 4), dtype="int8", quant=quant)
    new = b.node(
        "Slice", [b.node("Concat", [old, x], name="both", attributes={"axis": 1})], name="new",
        attributes={"axes": [1], "starts": [1], "ends": [4]},
    )  # fmt: skip
    rng = np.random.default_rng(5)
    w = b.constant("w", rng.integers(-128, 128, (12, 2)).astype(np.int8), quant=Quant(0.25, 0))
    flat = b.node("Flatten", [new], name="flat")
    y = b.node("MatMul", [flat, w], name="y", contract=contract, dtype="int8", quant=Quant(64.0, 0))
    return b.graph([y], states=[State("window", old, new)])


def free_running() -> Graph:
    """No input but the state: s = s / 2 + 1."""
    b = Builder("free_running")
    half, one = (b.constant(n, np.array([[v]], np.float32)) for n, v in (("half", 0.5), ("one", 1)))
    s = b.node("Add", [b.node("Mul", [b.input("s", (1, 1)), half]), one], name="next")
    return b.graph([s], states=[State("s", "s", "next")])


STREAMS = {"sums": sums, "delays": delays, "lstm": lstm, "codes": codes}


def feeds(graph: Graph, count: int, *, length: int = 2, seed: int = 3) -> dict[str, NDArray[Any]]:
    """Draw ``count`` steps for the inputs that have no state."""
    rng = np.random.default_rng(seed)
    bound = {state.input for state in graph.states}
    result: dict[str, NDArray[Any]] = {}
    for name in graph.inputs:
        if name not in bound:
            value = graph.values[name]
            shape = [d if isinstance(d, int) else {"N": count, "T": length}[d] for d in value.shape]
            whole = value.dtype != "float32"
            result[name] = (
                rng.integers(-128, 128, shape).astype(value.dtype)
                if whole
                else rng.standard_normal(shape).astype(np.float32)
            )
    return result
