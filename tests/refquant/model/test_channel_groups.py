"""Where scales may go, where they may not, and that a scaled graph is the same function."""

from collections.abc import Callable

import numpy as np
import pytest

from refquant.cli.demo_data import load_demo
from refquant.model.build import Builder
from refquant.model.channel_groups import channel_groups, rescaled
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph

F32 = np.float32
RNG = np.random.default_rng(6)


def weight(b: Builder, name: str, *shape: int) -> str:
    return b.constant(name, RNG.standard_normal(shape).astype(F32))


def linear(b: Builder, x: str, name: str, n: int = 4) -> str:
    return b.node("MatMul", [x, weight(b, f"{name}.w", 4, n)], name=name)


def norm(b: Builder, x: str, op: str = "LayerNormalization", name: str = "norm") -> str:
    operands = [x, weight(b, f"{name}.g", 4)]
    if op == "LayerNormalization":
        operands.append(weight(b, f"{name}.b", 4))
    return b.node(op, operands, name=name)


def attention(b: Builder, x: str) -> list[str]:
    """A block: a norm, queries, keys, values, attention, an output, the residual."""
    h = norm(b, x)
    q, k, v = (linear(b, h, part) for part in "qkv")
    attributes = {"q_num_heads": 2, "kv_num_heads": 2}
    mixed = b.node("Attention", [q, k, v], name="mixed", attributes=attributes)
    return [b.node("Add", [linear(b, mixed, "out"), x], name="y")]


def part(b: Builder, x: str, name: str, begin: int, end: int, axis: int = 2) -> str:
    window: dict[str, tuple[int, ...]] = {"starts": (begin,), "ends": (end,), "axes": (axis,)}
    return b.node("Slice", [x], attributes=window, name=name)


def fused(b: Builder, x: str) -> list[str]:
    """Queries, keys and values of one layer with a bias, taken apart."""
    rows = b.node("MatMul", [norm(b, x), weight(b, "qkv.w", 4, 12)], name="qkv")
    both = b.node("Add", [rows, weight(b, "qkv.b", 12)], name="qkv/sum")
    q, k, v = (part(b, both, name, 4 * i, 4 * i + 4) for i, name in enumerate("qkv"))
    attributes = {"q_num_heads": 2, "kv_num_heads": 2}
    mixed = b.node("Attention", [q, k, v], name="mixed", attributes=attributes)
    return [b.node("Add", [linear(b, mixed, "out"), x], name="y")]


def gated(b: Builder, x: str) -> list[str]:
    """A gated layer behind an RMS norm."""
    h = norm(b, x, "RMSNormalization")
    gate = b.node("Sigmoid", [linear(b, h, "gate")], name="open")
    return [linear(b, b.node("Mul", [gate, linear(b, h, "up")], name="h"), "down")]


def biased(b: Builder, x: str) -> list[str]:
    """A product whose bias is an addition, then a function that is homogeneous."""
    h = b.node("Add", [linear(b, x, "first"), weight(b, "bias", 4)], name="sum")
    return [linear(b, b.node("LeakyRelu", [h], name="h"), "second")]


def transposed(b: Builder, x: str) -> list[str]:
    """`Gemm` in both layouts."""
    first = b.node("Gemm", [x, weight(b, "w1", 4, 4), weight(b, "b1", 4)], name="first",
                   attributes={"transB": 1})  # fmt: skip
    return [b.node("Gemm", [first, weight(b, "w2", 4, 3)], name="second")]


def convolutions(b: Builder, x: str) -> list[str]:
    """A convolution, a window, a convolution with kernels."""
    h = b.node("Conv", [x, weight(b, "w1", 4, 2, 3, 3), weight(b, "b1", 4)], name="first")
    window = {"kernel_shape": [2, 2]}
    h = b.node("MaxPool", [b.node("Relu", [h])], name="h", attributes=window)
    return [b.node("Conv", [h, weight(b, "w2", 3, 4, 2, 2)], name="second")]


FOUND: dict[Callable[[Builder, str], list[str]], list[tuple[str, str, list[str]]]] = {
    attention: [("norm", "norm", ["q", "k", "v"]), ("mixed", "v", ["out"])],
    fused: [("norm", "norm", ["qkv"]), ("mixed", "qkv", ["out"])],
    gated: [("norm", "norm", ["gate", "up"]), ("h", "up", ["down"])],
    biased: [("h", "first", ["second"])],
    transposed: [("first", "first", ["second"])],
    convolutions: [("h", "first", ["second"])],
}
SHAPES: dict[Callable[[Builder, str], list[str]], tuple[int, ...]] = {
    attention: (3, 4),
    fused: (3, 4),
    gated: (3, 4),
    convolutions: (2, 8, 8),
}


def made(function: Callable[[Builder, str], list[str]]) -> Graph:
    b = Builder("g")
    x = b.input("x", ("N", *SHAPES.get(function, (4,))))
    return b.graph(function(b, x))


@pytest.mark.parametrize("function", FOUND)
def test_groups_are_found(function: Callable[[Builder, str], list[str]]) -> None:
    got = [(g.value, g.maker.name, [n.name for n in g.readers])
           for g in channel_groups(made(function))]  # fmt: skip
    assert got == FOUND[function], f"{function.__name__}: {got}"


@pytest.mark.parametrize("function", FOUND)
def test_powers_of_two_change_no_bit(function: Callable[[Builder, str], list[str]]) -> None:
    graph = made(function)
    rng = np.random.default_rng(7)
    scales = {g.value: np.exp2(rng.integers(-3, 4, 4)).astype(F32) for g in channel_groups(graph)}
    x = {"x": rng.standard_normal((5, *SHAPES.get(function, (4,)))).astype(F32)}
    new = rescaled(graph, scales)
    (name,) = graph.outputs
    assert run(new, x)[name].tobytes() == run(graph, x)[name].tobytes(), "another function"
    for value, s in scales.items():
        shape = (4, 1, 1) if function is convolutions else (4,)
        before, after = (run(g, x, keep=[value])[value] for g in (graph, new))
        assert after.tobytes() == (before / s.reshape(shape)).tobytes(), f"{value} is not x / s"


def _blocked(b: Builder, kind: str) -> list[str]:
    x = b.input("x", ("N", 4))
    h = linear(b, x, "first")
    if kind == "gelu":
        return [linear(b, b.node("Gelu", [h], name="h"), "second")]
    if kind == "output":
        return [linear(b, h, "second"), h]
    if kind == "second reader":
        return [b.node("Add", [linear(b, h, "second"), h], name="y")]
    if kind == "on the way":
        r = b.node("Relu", [h], name="r")
        return [b.node("Add", [linear(b, r, "second"), h], name="y")]
    if kind == "shared weight":
        return [b.node("MatMul", [b.node("Relu", [h], name="r"), "first.w"], name="second")]
    return [linear(b, x, "second")]  # of an input


@pytest.mark.parametrize(
    "kind", ["gelu", "output", "second reader", "on the way", "shared weight", "input"]
)
def test_what_would_change_the_function_is_left_alone(kind: str) -> None:
    b = Builder("g")
    graph = b.graph(_blocked(b, kind))
    assert channel_groups(graph) == (), f"{kind}: not free"


@pytest.mark.parametrize(
    ("mine", "other", "axis", "free"),
    [
        ((4, 8), (0, 4), 2, True),
        ((-4, 99), (0, -4), -1, True),  # the same, in ONNX's other words
        ((4, 8), (0, 8), 2, False),  # the other one takes mine as well
        ((4, 8), (3, 5), 2, False),
        ((0, 4), (4, 8), 2, False),  # not the last ones
        ((4, 7), (0, 4), 2, False),
        ((0, 1), (1, 2), 1, False),  # of another axis
    ],
)
def test_a_part_is_free_if_it_is_the_last_and_nobody_elses(
    mine: tuple[int, int], other: tuple[int, int], axis: int, free: bool
) -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2, 4))
    both = b.node("MatMul", [x, weight(b, "w", 4, 8)], name="both")
    values = part(b, both, "mine", *mine, axis), part(b, both, "other", *other, axis)
    size = {4: 4, 7: 3}.get(mine[1], 4) if axis != 1 else 8
    w = weight(b, "out.w", size, 3)
    y = b.node("MatMul", [values[0], w], name="y")
    graph = b.graph([y, b.node("Sigmoid", [values[1]], name="z")])
    got = [(g.value, g.maker.name) for g in channel_groups(graph)]
    assert got == ([("mine", "both")] if free else []), f"{got}"


def test_a_part_of_an_output_or_of_a_norm_is_left_alone() -> None:
    for kind in ("output", "norm"):
        b = Builder("g")
        x = b.input("x", ("N", 2, 4))
        h = norm(b, x) if kind == "norm" else linear(b, x, "h")
        y = b.node("MatMul", [part(b, h, "last", 2, 4), weight(b, "w", 2, 3)], name="y")
        graph = b.graph([y, h] if kind == "output" else [y])
        assert channel_groups(graph) == (), kind


def test_the_demo_has_four() -> None:
    graph = fold(load_demo(1).graph)
    got = [g.value for g in channel_groups(graph)]
    assert got == [f"block{i}.dw.relu" for i in range(1, 5)], f"others go into an addition: {got}"


def test_a_value_without_channels_of_its_own_is_refused() -> None:
    with pytest.raises(ValueError, match="value 'x' has no channels that can be scaled"):
        rescaled(made(biased), {"x": np.ones(4, F32)})
