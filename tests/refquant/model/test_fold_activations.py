"""Activations written out: one operator, another program for the same real function."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.fold_activations import fold_activations
from refquant.model.graph import Graph

F32 = np.float32
# subtle: the middle of HardSwish, both its ends, and where a sigmoid is next to 0 and 1
X = np.concatenate([np.linspace(-9, 9, 289), [-3, -0.0, 0, 3, 1e-30, -80, 80]]).astype(F32)
X = X[None].repeat(2, axis=0)
ULP = 2.0**-24


class Chain:
    """A graph in the making: nodes by operator, constants by number."""

    def __init__(self) -> None:
        self.b = Builder("g")
        self.x = self.b.input("x", ("N", X.shape[1]))

    def c(self, number: float) -> str:
        name = f"c{len(self.b.values)}"
        return self.b.constant(name, np.asarray(number, F32))

    def __call__(self, op: str, *names: str, **attributes: Any) -> str:
        return self.b.node(op, list(names), attributes=attributes)

    def end(self, name: str) -> Graph:
        return self.b.graph([name])


def hard(g: Chain) -> str:
    gate = g("Clip", g("Add", g.x, g.c(3)), min=0.0, max=6.0)
    return g("Div", g("Mul", g.x, gate), g.c(6))


def hard_turned(g: Chain) -> str:
    gate = g("Clip", g("Add", g.c(3), g.x), min=0.0, max=6.0)
    return g("Mul", g("Mul", gate, g.c(1 / 6)), g.x)


def hard_by_gate(g: Chain) -> str:
    return g("Mul", g("HardSigmoid", g.x, alpha=0.16666670143604279, beta=0.5), g.x)


def swish(g: Chain) -> str:
    return g("Mul", g.x, g("Sigmoid", g("Mul", g.x, g.c(1))))


def gelu(g: Chain) -> str:
    erf = g("Erf", g("Div", g.x, g.c(2**0.5)))
    return g("Mul", g("Mul", g.x, g("Add", erf, g.c(1))), g.c(0.5))


def gelu_turned(g: Chain) -> str:
    erf = g("Erf", g("Mul", g.x, g.c(0.5**0.5)))
    return g("Mul", g("Add", g.c(1), erf), g("Mul", g.x, g.c(0.5)))


WHOLE: dict[Callable[[Chain], str], str] = {
    hard: "HardSwish", hard_turned: "HardSwish", hard_by_gate: "HardSwish",
    swish: "Swish", gelu: "Gelu", gelu_turned: "Gelu",
}  # fmt: skip


@pytest.mark.parametrize("write", WHOLE)
def test_what_was_written_out_is_one_operator(write: Callable[[Chain], str]) -> None:
    g = Chain()
    graph = g.end(write(g))
    folded = fold(graph)
    assert [n.op for n in folded.nodes] == [WHOLE[write]], f"{[n.op for n in folded.nodes]}"
    assert folded.nodes[0].name == graph.nodes[-1].name, "the last one's name"
    assert not folded.constants, "nobody reads them"
    before, after = (run(g_, {"x": X})[graph.outputs[0]] for g_ in (graph, folded))
    # Six roundings at most in each, of what is never larger than 6 |x|; 6.7e-7 is Erf's error, and
    # Sigmoid's less; the paddle file's alpha is 2e-7 off.
    bound = (12 * ULP + 6.7e-7) * np.abs(X) * 6
    assert (np.abs(before - after) <= bound).all(), f"{np.abs(before - after).max()}"


def other_alpha(g: Chain) -> str:
    return g("Mul", g("HardSigmoid", g.x), g.x)


def other_bound(g: Chain) -> str:
    gate = g("Clip", g("Add", g.x, g.c(3)), min=0.0, max=5.0)
    return g("Div", g("Mul", g.x, gate), g.c(6))


def other_divisor(g: Chain) -> str:
    gate = g("Clip", g("Add", g.x, g.c(3)), min=0.0, max=6.0)
    return g("Div", g("Mul", g.x, gate), g.c(5))


def other_operand(g: Chain) -> str:
    return g("Mul", g("Tanh", g.x), g("Sigmoid", g.x))


def read_twice(g: Chain) -> str:
    gate = g("Sigmoid", g.x)
    return g("Add", g("Mul", g.x, gate), gate)


def upside_down(g: Chain) -> str:
    return g("Div", g("Sigmoid", g.x), g.x)


def square(g: Chain) -> str:
    s = g("Sigmoid", g.x)
    return g("Mul", s, s)


PARTS = (
    other_alpha, other_bound, other_divisor, other_operand, read_twice, upside_down, square,
)  # fmt: skip


@pytest.mark.parametrize("write", PARTS)
def test_what_is_nearly_one_stays(write: Callable[[Chain], str]) -> None:
    g = Chain()
    graph = g.end(write(g))
    assert fold_activations(graph) is graph, "not one of them"


def test_a_gate_that_is_an_output_stays() -> None:
    g = Chain()
    gate = g("Sigmoid", g.x)
    graph = g.b.graph([g("Mul", g.x, gate), gate])
    assert fold_activations(graph) is graph, "the gate is wanted"


def test_two_in_a_row_are_two() -> None:
    g = Chain()
    g.x = hard(g)
    folded = fold_activations(g.end(swish(g)))
    assert [n.op for n in folded.nodes] == ["HardSwish", "Swish"], f"{folded.nodes}"
