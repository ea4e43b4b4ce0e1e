"""Folding: the same real function, within the rounding of both programs."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.fold import fold, fold_batch_normalization, lower_batch_normalization
from refquant.model.graph import Graph, Quant
from refquant.model.validate import validate

U = 2.0**-24  # unit roundoff of float32
TINY = 2.0**-149  # what one rounding near zero may add
F32 = np.float32


def f32(values: Any) -> np.ndarray:
    return np.array(values, F32)


def gamma(n: int) -> float:
    """Return n u / (1 - n u): n roundings in a row (Higham, 2nd ed., lemma 3.1)."""
    return n * U / (1 - n * U)


def normalized(op: str, seed: int, *, trans_b: int, has_bias: bool) -> Graph:
    """Return op -> BatchNormalization over 4 inputs (a 2x2 patch for Conv) and 3 channels."""
    rng = np.random.default_rng(seed)

    def draw(*shape: int) -> np.ndarray:
        scale = np.exp2(rng.integers(-6, 7, shape))
        return (rng.standard_normal(shape) * scale).astype(F32)

    b = Builder("g")
    shape = {"Conv": (3, 1, 2, 2), "MatMul": (4, 3)}.get(op, (3, 4) if trans_b else (4, 3))
    x = b.input("x", ("N", 1, 2, 2) if op == "Conv" else ("N", 4))
    names = [x, b.constant("w", draw(*shape))]
    if has_bias and op != "MatMul":
        names.append(b.constant("b", draw(3)))
    attributes = {"transB": trans_b} if op == "Gemm" else {}
    h = b.node(op, names, attributes=attributes, name="linear")
    norm = [b.constant(n, draw(3)) for n in ("scale", "offset", "mean")]
    norm.append(b.constant("var", np.abs(draw(3))))
    return b.graph([b.node("BatchNormalization", [h, *norm], name="y")])


def exact_and_bound(graph: Graph, x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return y in float64, and how far each of the two float32 programs may be from it.

    Let S = sum |w x| + |b|. Unfolded: the dot product is within gamma(6) S (4 products, 4 sums,
    one bias: at most 6 roundings on a path); subtracting the mean and multiplying by g add 2, g
    itself carries 4 (epsilon, var + epsilon, both halved by the root; root; quotient), the offset
    1: gamma(13) (S + |mean|) |g| + gamma(1) |offset|.
    Folded: w' and b' carry 1 (float64's own roundings are below u * 2^-26 and covered by the
    slack of the first bound), the dot product and bias 6: gamma(7) ((S + |mean|) |g| + |offset|).
    Either is below gamma(13) ((S + |mean|) |g| + |offset|), plus underflow.
    """
    c = {name: a.astype(np.float64) for name, a in graph.constants.items()}
    flat = x.reshape(len(x), -1).astype(np.float64)
    w = c["w"].reshape(c["w"].shape[0], -1).T if graph.nodes[0].op == "Conv" else c["w"]
    w = w.T if w.shape[0] == 3 else w  # (4, 3)
    bias = c.get("b", np.zeros(3))
    gain = c["scale"] / np.sqrt(c["var"] + 1e-5)
    exact = (flat @ w + bias - c["mean"]) * gain + c["offset"]
    size = (np.abs(flat) @ np.abs(w) + np.abs(bias) + np.abs(c["mean"])) * np.abs(gain)
    return exact, gamma(13) * (size + np.abs(c["offset"])) + 32 * TINY


@given(
    st.sampled_from([("Conv", 0), ("Gemm", 0), ("Gemm", 1), ("MatMul", 0)]),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_folding_keeps_the_function_within_its_rounding(
    kind: tuple[str, int], seed: int, has_bias: bool
) -> None:
    graph = normalized(kind[0], seed, trans_b=kind[1], has_bias=has_bias)
    folded = fold_batch_normalization(graph)
    validate(folded)
    ops = [node.op for node in folded.nodes]
    assert ops == (["MatMul", "Add"] if kind[0] == "MatMul" else [kind[0]]), "the norm is gone"
    shape = tuple(5 if d == "N" else int(d) for d in graph.values["x"].shape)
    x = np.random.default_rng(seed).standard_normal(shape).astype(F32)
    exact, bound = exact_and_bound(graph, x)
    for program in (graph, folded):
        y = run(program, {"x": x})["y"].reshape(exact.shape).astype(np.float64)
        assert (np.abs(y - exact) <= bound).all(), f"{kind}: {np.max(np.abs(y - exact) / bound)}"


def test_folded_constants_by_hand() -> None:
    """g = [3 / sqrt(4), 1 / sqrt(0.25)] = [1.5, 2]; b' = (b - mean) g + offset."""
    b = Builder("g")
    x = b.input("x", ("N", 1))
    h = b.node("Gemm", [x, b.constant("w", f32([[2, 4]])), b.constant("b", f32([1, 2]))], name="l")
    parameters = zip("somv", ([3, 1], [10, 20], [5, 1], [3.5, -0.25]), strict=True)
    norm = [b.constant(n, f32(a)) for n, a in parameters]
    graph = b.graph([b.node("BatchNormalization", [h, *norm], attributes={"epsilon": 0.5})])
    folded = fold_batch_normalization(graph)
    assert folded.constants["l.weight"].tolist() == [[3, 8]], "w' = g w"
    assert folded.constants["l.bias"].tolist() == [4, 22], "(1 - 5) 1.5 + 10, (2 - 1) 2 + 20"
    assert folded.outputs == graph.outputs, "outputs keep their names"
    assert set(folded.constants) == {"l.weight", "l.bias"}, "what nothing reads is gone"
    assert fold_batch_normalization(folded) == folded, "there is no more to do"


def _before_norm(b: Builder, kind: str) -> tuple[str, list[str]]:
    """Return a value that a normalization must not be folded into, and more outputs."""
    q = Quant(0.5, 0)
    x = b.input("x", ("N", 2, 3) if kind == "three axes" else ("N", 2))
    w = b.constant("w", np.ones((3, 2) if kind == "three axes" else (2, 2), F32))
    if kind == "input":
        return x, []
    if kind == "relu":
        return b.node("Relu", [x]), []
    if kind == "codes":
        w = b.constant("c", np.ones((2, 2), np.int8), quant=q)
        return b.node("MatMul", [x, w], contract=preset("onnx")), []
    if kind == "computed":
        return b.node("MatMul", [x, b.node("Neg", [w])]), []
    h = b.node("MatMul", [x, w])
    if kind == "two readers":
        return h, [b.node("Relu", [h])]
    return h, [h] if kind == "output" else []


@pytest.mark.parametrize(
    "kind", ["input", "relu", "codes", "computed", "two readers", "output", "three axes"]
)
def test_what_cannot_be_folded_stays(kind: str) -> None:
    b = Builder("g")
    h, more = _before_norm(b, kind)
    norm = [b.constant(n, np.ones(2, F32)) for n in "somv"]
    graph = b.graph([b.node("BatchNormalization", [h, *norm]), *more])
    assert fold_batch_normalization(graph) == graph, f"{kind}: nothing changes"


def test_shared_constants_stay_for_the_others() -> None:
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", np.eye(2, dtype=F32))
    ones = b.constant("ones", np.ones(2, F32))
    b.constant("l.weight", np.zeros(1, F32))  # the name that folding would choose
    h = b.node("BatchNormalization", [b.node("Gemm", [x, w], name="l"), *[ones] * 4])
    graph = b.graph([b.node("Gemm", [h, w, ones], name="y")])
    folded = fold(graph)
    validate(folded)
    assert {"w", "ones", "l.weight", "l.weight_"} <= folded.constants.keys(), "still in use"
    x_value = np.array([[1, -2]], F32)
    exact = (x_value - 1) / np.sqrt(1 + 1e-5) + 1 + 1
    y = run(folded, {"x": x_value})["y"]
    assert (np.abs(y - exact) <= gamma(8) * 4).all(), "eight roundings of numbers up to 4"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"var": -1.0}, "var [+] epsilon must be > 0, got -0.99"),
        ({"var": np.nan}, "var [+] epsilon must be > 0"),
        ({"scale": 3e38}, "must be finite float32, but 'linear.weight' has 12 of 12 elements"),
    ],
)
def test_what_has_no_folded_form_is_named(change: dict[str, float], message: str) -> None:
    graph = normalized("Gemm", 3, trans_b=0, has_bias=True)
    constants = dict(graph.constants)
    for name, value in change.items():
        constants[name] = np.full(3, value, F32)
    constants["w"] = np.full((4, 3), 100, F32)
    with pytest.raises(ValueError, match=f"node 'y': .*{message}"):
        fold_batch_normalization(replace(graph, constants=constants))


@given(
    st.integers(2, 5),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["input", "relu", "two readers", "output"]),
)
def test_lowering_keeps_the_function_within_its_rounding(rank: int, seed: int, kind: str) -> None:
    """|y - exact| <= gamma(3) (|x| + |mean|) |g| + gamma(2) |bias|, and underflow.

    On x's way: g is rounded, the product, the sum. The bias is rounded, then the sum. What float64
    rounds while it makes g and the bias, about 2^-50, is below the slack of gamma, 6 u^2.
    Underflow of g, of the product and of the bias adds half of TINY each, that of g times x.
    """
    rng = np.random.default_rng(seed)
    shape = (3, 2, 3, 2, 1)[:rank]

    def draw(*s: int) -> np.ndarray:
        return (rng.standard_normal(s) * np.exp2(rng.integers(-8, 9, s))).astype(F32)

    b = Builder("g")
    h = b.input("x", ("N", *shape[1:]))
    h = h if kind == "input" else b.node("Relu", [h], name="h")
    parameters = [draw(2), draw(2), draw(2), np.abs(draw(2))]
    norm = [b.constant(n, a) for n, a in zip("somv", parameters, strict=True)]
    y = b.node("BatchNormalization", [h, *norm], name="y")
    more = {"two readers": lambda: [b.node("Neg", [h])], "output": lambda: [h]}
    graph = b.graph([y, *more.get(kind, list)()])
    lowered = fold(graph)
    validate(lowered)
    assert "BatchNormalization" not in {node.op for node in lowered.nodes}, "it is gone"
    assert lowered.outputs == graph.outputs, "outputs keep their names"
    x = draw(*shape)
    scale, offset, mean, var = (
        a.astype(np.float64).reshape(-1, *(1,) * (rank - 2)) for a in parameters
    )
    wide = x.astype(np.float64) if kind == "input" else np.maximum(x, 0).astype(np.float64)
    g = scale / np.sqrt(var + 1e-5)
    exact = (wide - mean) * g + offset
    bound = gamma(3) * (np.abs(wide) + np.abs(mean)) * np.abs(g) + gamma(2) * np.abs(offset)
    bound = bound + (np.abs(wide) + 2) * TINY
    got = run(lowered, {"x": x})["y"]
    assert (np.abs(got - exact) <= bound).all(), f"{np.max(np.abs(got - exact) / bound)}"


def test_lowered_constants_by_hand_with_names_of_their_own() -> None:
    """g = [3 / sqrt(4), 1 / sqrt(0.25)] = [1.5, 2]; bias - mean g = [10 - 7.5, 20 - 2]."""
    b = Builder("g")
    x = b.input("y.mul", ("N", 2, 1, 1))
    parameters = zip("somv", ([3, 1], [10, 20], [5, 1], [3.5, -0.25]), strict=True)
    norm = [b.constant(n, f32(a)) for n, a in parameters]
    y = b.node("BatchNormalization", [x, *norm], attributes={"epsilon": 0.5}, name="y")
    graph = b.graph([b.node("Relu", [y], name="y.bias")])
    lowered = lower_batch_normalization(graph)
    validate(lowered)
    assert [(n.name, n.op) for n in lowered.nodes[:2]] == [("y.mul_", "Mul"), ("y", "Add")], "names"
    assert set(lowered.constants) == {"y.weight", "y.bias_"}, "what nothing reads is gone"
    assert lowered.constants["y.weight"].tolist() == [[[1.5]], [[2]]], "(C, 1, 1)"
    assert lowered.constants["y.bias_"].tolist() == [[[2.5]], [[18]]], "bias - mean g"
    assert lower_batch_normalization(lowered) == lowered, "there is no more to do"


def test_computed_parameters_are_not_lowered() -> None:
    b = Builder("g")
    x, ones = b.input("x", ("N", 2)), b.constant("ones", np.ones(2, F32))
    y = b.node("BatchNormalization", [x, b.node("Neg", [ones]), ones, ones, ones])
    graph = b.graph([y])
    assert lower_batch_normalization(graph) == graph, "nothing changes"


def test_what_has_no_lowered_form_is_named() -> None:
    b = Builder("g")
    x, ones = b.input("x", ("N", 2)), b.constant("ones", np.ones(2, F32))
    var = b.constant("var", f32([1, -1]))
    graph = b.graph([b.node("BatchNormalization", [x, ones, ones, ones, var], name="y")])
    with pytest.raises(ValueError, match=r"node 'y': var \+ epsilon must be > 0, got -0\.99"):
        fold(graph)
