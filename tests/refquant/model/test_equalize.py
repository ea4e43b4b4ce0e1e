"""Equalization of a graph: which nodes, the same function, and the rescue of one scale a tensor."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.cross_layer_equalization import Linear, input_ranges, output_ranges
from refquant.model.build import Builder
from refquant.model.equalize import equalize, equalized
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.graph import Graph
from refquant.model.metrics import sqnr_db
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.validate import validate
from tests.refquant.model.small_cnn import small_cnn

PAIRS = (("stem", "dw", True), ("dw", "pw", False))  # and whether the second is depthwise


def f32(values: Any) -> np.ndarray:
    return np.array(values, np.float32)


def depthwise_net(*, norm: bool = False) -> Graph:
    """Conv, depthwise conv, 1x1 conv, each with a bias and all but the last with a Relu."""
    rng = np.random.default_rng(3)
    b = Builder("depthwise")
    h = b.input("x", ("N", 3, 8, 8))
    for name, shape, group in (
        ("stem", (16, 3, 3, 3), 1), ("dw", (16, 1, 3, 3), 16), ("pw", (8, 16, 1, 1), 1),
    ):  # fmt: skip
        w = rng.standard_normal(shape) / np.sqrt(np.prod(shape[1:]))
        operands = [h, b.constant(f"{name}.w", w.astype(np.float32))]
        operands.append(b.constant(f"{name}.b", rng.standard_normal(shape[0]).astype(np.float32)))
        h = b.node("Conv", operands, name=name,
                   attributes={"group": group, "pads": [shape[2] // 2] * 4})  # fmt: skip
        if norm and name != "pw":
            parts = [np.ones(16), np.full(16, 4.0 if name == "dw" else 0.5), np.zeros(16),
                     np.ones(16)]  # fmt: skip
            names = [b.constant(f"{name}.{i}", p.astype(np.float32)) for i, p in enumerate(parts)]
            h = b.node("BatchNormalization", [h, *names], name=f"{name}.bn")
        if name != "pw":
            h = b.node("Relu", [h], name=f"{name}.relu")
    return b.graph([h])


def unequal(graph: Graph, *, spread: int) -> Graph:
    """The same function bit for bit: channels times powers of two, undone by the next layer."""
    rng, constants = np.random.default_rng(0), dict(graph.constants)
    for first, second, depthwise in PAIRS:
        s = np.exp2(rng.integers(-spread, spread + 1, 16)).astype(np.float32)
        rows, columns = s[:, None, None, None], s[None, :, None, None]
        constants[f"{first}.w"] = constants[f"{first}.w"] * rows
        constants[f"{first}.b"] = constants[f"{first}.b"] * s
        constants[f"{second}.w"] = constants[f"{second}.w"] / (rows if depthwise else columns)
    return replace(graph, constants=constants)


def images(count: int, seed: int) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    return {"x": rng.standard_normal((count, 3, 8, 8)).astype(np.float32)}


def test_equalization_rescues_one_scale_a_tensor() -> None:
    """DFQ's claim: unequal channels ruin per-tensor int8, and two layers can repair each other.

    The graphs compute the same bits, so only the ranges of the channels differ. 8 bits per channel
    give this net 35 dB; spread over 2**10, most channels are left with less than one code.
    """
    plain, data, x = depthwise_net(), images(16, 1), images(16, 2)
    wild = unequal(plain, spread=5)
    exact = run(plain, x)["pw"]
    assert run(wild, x)["pw"].tobytes() == exact.tobytes(), "powers of two change no bit"

    def quality(graph: Graph, name: str) -> float:
        y = run(quantize(graph, recipe(name), data), x)["pw"]
        return sqnr_db(exact, y)

    before, after = quality(wild, "w8a8_static_per_tensor"), quality(wild, "int8_cle")
    tame = quality(plain, "w8a8_static_per_channel")
    assert before < 10, f"without: {before:.1f} dB"
    assert after > 30, f"with: {after:.1f} dB"
    assert after > tame - 3, f"within half a bit of a scale for each channel: {tame:.1f} dB"


def ranges(graph: Graph, first: str, second: str, *, groups: int) -> tuple[Any, Any]:
    a, b = (Linear(graph.constants[f"{name}.w"], None) for name in (first, second))
    return output_ranges(a), input_ranges(Linear(b.weight, None, groups))


def test_all_neighbours_have_equal_ranges() -> None:
    """Sweeps stop where none moves a range by 2**-10: then pairs differ by no more than that."""
    done = equalized(unequal(depthwise_net(), spread=5), sweeps=50, absorb_bias=False)
    assert done.nodes == (("stem", "dw", "pw"),), "one triple"
    for first, second, depthwise in PAIRS:
        a, b = ranges(done.graph, first, second, groups=16 if depthwise else 1)
        assert np.abs(a / b - 1).max() <= 2.0**-10, f"{first}, {second}: {a / b}"


def test_sweeps_repair_what_the_next_set_disturbs() -> None:
    """Two pairs share the middle layer: one pass leaves the first unequal, many do not."""
    rng = np.random.default_rng(5)
    b = Builder("chain")
    h = b.input("x", ("N", 4))
    for i in range(3):
        w = rng.standard_normal((4, 4)) * np.exp2(rng.uniform(-5, 5, (4, 4)))
        h = b.node("MatMul", [h, b.constant(f"w{i}", w.astype(np.float32))], name=f"m{i}")
        h = b.node("LeakyRelu", [h], name=f"r{i}") if i < 2 else h
    graph = b.graph([h])
    gap = {}
    for sweeps in (1, 50):
        done = equalized(graph, sweeps=sweeps, absorb_bias=False)
        assert done.nodes == (("m0", "m1"), ("m1", "m2")), "two pairs, the middle in both"
        c = done.graph.constants
        gap[sweeps] = np.abs(np.log2(np.abs(c["w0"]).max(axis=0) / np.abs(c["w1"]).max(axis=1)))
    assert gap[1].max() > 0.1, "the second pair has moved the ranges of the first"
    assert gap[50].max() <= 2.0**-9, f"settled: {gap[50]}"


def test_scales_are_products_over_sweeps() -> None:
    """What `scales` says is what the weights were divided by, each sweep rounding once."""
    graph = unequal(depthwise_net(), spread=5)
    done = equalized(graph, sweeps=50, absorb_bias=False)
    ratio = graph.constants["stem.w"] / done.graph.constants["stem.w"]
    assert set(done.scales) == {"stem", "dw"}, "the last one's outputs are nobody's business"
    error = np.abs(ratio / done.scales["stem"][:, None, None, None] - 1).max()
    assert error <= 51 * 2.0**-24, f"{error}"


@pytest.mark.parametrize("absorb", [False, True])
def test_the_float_function_stays(absorb: bool) -> None:
    graph = small_cnn(softmax=False)
    done = equalize(graph, sweeps=20, absorb_bias=absorb)
    validate(done)
    rng = np.random.default_rng(1)
    x = {"x": rng.standard_normal((4, 2, 8, 8)).astype(np.float32)}
    # A dozen layers of float32 and 20 roundings of a few weights: as for folding in test_quantize.
    assert sqnr_db(run(fold(graph), x)["head"], run(done, x)["head"]) >= 69, "the same function"


def test_powers_of_four_change_no_bit_of_the_output() -> None:
    b = Builder("g")
    h = b.node("Conv", [b.input("x", ("N", 1, 4, 4)), b.constant("w", f32([[[[4]]], [[[1]]]])),
                        b.constant("b", f32([0.3, 0.7]))], name="a")  # fmt: skip
    h = b.node("MaxPool", [b.node("Relu", [h])], attributes={"kernel_shape": (2, 2)})
    h = b.node("AveragePool", [h], attributes={"kernel_shape": (2, 2), "pads": (1, 1, 0, 0)})
    y = b.node("Conv", [h, b.constant("v", f32([[[[0.25]], [[16]]]]))], name="y")
    graph = b.graph([y])
    done = equalized(graph, sweeps=9, absorb_bias=False)
    assert done.scales["a"].tolist() == [4, 0.25], "sqrt(4 / 0.25), sqrt(1 / 16)"
    x = {"x": np.random.default_rng(0).standard_normal((3, 1, 4, 4)).astype(np.float32)}
    assert run(done.graph, x)["y"].tobytes() == run(graph, x)["y"].tobytes(), "through both pools"


def _chain(kind: str) -> Graph:
    """A pair that is none, for the reason in ``kind``."""
    b = Builder("g")
    x, w = b.input("x", ("N", 2, 2, 2)), b.constant("w", np.ones((2, 2, 1, 1), np.float32))
    v = w if kind == "shared" else b.constant("v", np.full((2, 2, 1, 1), 9, np.float32))
    h = b.node("Conv", [x, w], name="a")
    extra = []
    if kind == "clip":
        h = b.node("Clip", [h], attributes={"min": 0.0, "max": 6.0})
    elif kind == "add":
        h = b.node("Add", [h, x])
    elif kind == "sigmoid":
        h = b.node("Sigmoid", [h])
    elif kind == "two readers":
        extra = [b.node("Relu", [h])]
    elif kind == "output":
        extra = [h]
    elif kind == "twice":
        h = b.node("Mul", [h, h])
    elif kind == "a matrix":
        y = b.node("MatMul", [h, b.constant("m", np.full((2, 2), 9, np.float32))], name="y")
        return b.graph([y])
    elif kind == "computed":
        v = b.node("Relu", [v])
    return b.graph([b.node("Conv", [h, v], name="y"), *extra])


KINDS = ("clip", "add", "sigmoid", "two readers", "output", "shared", "twice", "a matrix",
         "computed")  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_no_path_stays(kind: str) -> None:
    graph = _chain(kind)
    done = equalized(graph, sweeps=3, absorb_bias=True)
    assert done.nodes == (), f"{kind}: {done.nodes}"
    assert done.graph == graph, f"{kind}: nothing changes"


def test_transposed_matrices() -> None:
    """Gemm with and without transB, MatMul: rows and columns are found in each."""
    b = Builder("g")
    operands = [b.input("x", ("N", 1)), b.constant("a", f32([[16]])), b.constant("ab", f32([8]))]
    h = b.node("Gemm", operands, name="a1", attributes={"transB": 1})
    h = b.node("Gemm", [b.node("Relu", [h]), b.constant("c", f32([[1, 4]]))], name="c1")
    y = b.node("MatMul", [b.node("Relu", [h]), b.constant("d", f32([[4], [1]]))], name="y")
    done = equalized(b.graph([y]), sweeps=1, absorb_bias=False)
    # (a1, c1): s = sqrt(16 / 4) = 2; then c = [2, 8] and (c1, y): s = sqrt([2, 8] / [4, 1]).
    assert done.graph.constants["a"].tolist() == [[8]], "16 / 2"
    assert done.graph.constants["ab"].tolist() == [4], "8 / 2"
    s = np.sqrt(np.array([0.5, 8.0]))
    assert done.graph.constants["c"].tolist() == f32([[2, 8] / s]).tolist(), "columns are outputs"
    assert done.graph.constants["d"].tolist() == f32([[4], [1]] * s[:, None]).tolist(), "rows read"


def test_biases_move_where_it_is_exact() -> None:
    """dw -> pw has no padding, and batch normalization says mean 4, deviation 1: c = 4 - 3 = 1.

    stem -> dw pads with zeros, which are no c: it stays.
    """
    graph = depthwise_net(norm=True)
    done = equalized(graph, sweeps=1, absorb_bias=True)
    assert set(done.absorbed) == {"dw"}, f"{set(done.absorbed)}"
    without = equalized(graph, sweeps=1, absorb_bias=False)
    c = done.absorbed["dw"]
    # 4 / s and 3 / s are rounded, and their difference: 3 roundings of numbers up to 4 / s.
    assert (np.abs(c * done.scales["dw"] - 1) <= 16 * 2.0**-53).all(), "(4 - 3) / s"
    pw = done.graph.constants["pw.w"].reshape(8, 16).astype(np.float64)
    expected = without.graph.constants["pw.b"] + (pw * c).sum(axis=1)
    got = done.graph.constants["pw.b"]
    assert np.abs(got - expected).max() <= np.abs(expected).max() * 2.0**-23, "b2 + W2 c"


def test_a_moved_bias_makes_one() -> None:
    b = Builder("g")
    w = b.constant("w", f32([[1]]))
    names = [b.constant(n, f32([v])) for n, v in (("s", 1), ("o", 5), ("m", 0), ("v", 1))]
    h = b.node("Gemm", [b.input("x", ("N", 1)), w], name="a")
    h = b.node("BatchNormalization", [h, *names], attributes={"epsilon": 0.0})
    b.constant("y.bias", f32([9]))  # the name that it would have
    y = b.node("Gemm", [b.node("Relu", [h]), b.constant("u", f32([[1]]))], name="y")
    graph = b.graph([y, b.node("Add", ["x", "y.bias"])])
    done = equalize(graph, sweeps=1, absorb_bias=True)
    validate(done)
    (last,) = (node for node in done.nodes if node.name == "y")
    assert last.inputs[2] == "y.bias_", f"a name that is free: {last}"
    assert done.constants["y.bias_"].tolist() == [2], "c = 5 - 3, times 1"
    x = {"x": f32([[0], [-3], [2], [-3.5]])}
    before, after = run(fold(graph), x)["y"], run(done, x)["y"]
    assert after[:3].tolist() == before[:3].tolist(), "at or above c: the same"
    assert after[3].item() == 2 != before[3].item() == 1.5, "below c it is c"


def test_nonsense_is_refused() -> None:
    with pytest.raises(ValueError, match="sweeps must be at least 1, got 0"):
        equalize(depthwise_net(), sweeps=0, absorb_bias=False)
    graph = depthwise_net()
    w = graph.constants["dw.w"].copy()
    w[0, 0, 0, 0] = np.nan
    broken = replace(graph, constants={**graph.constants, "dw.w": w})
    with pytest.raises(ValueError, match="finite"):
        equalize(broken, sweeps=1, absorb_bias=False)
