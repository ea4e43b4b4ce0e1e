"""Float operators: onnxruntime computes the same function, and our importer reads them back.

Where every intermediate result is an integer below 2^24, or nothing is rounded, bits are compared.
Elsewhere onnxruntime's polynomials and its order of sums are others than ours. What is asked there
is the operator, not its last bits: of inputs below 4 and sums of at most 64 terms both are within
64 * 2^-24 * 4^2 < 2^-13 of the truth (Higham, section 3.1; every function here has a slope of at
most 4), and a wrong attribute is off by far more.
"""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import draft_onnx, onnx_bytes
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.operators import DYNAMIC, OPERATORS, REFERENCE_ONLY
from refquant.model.operators_hybrid import HYBRID
from tests.refquant.model.exporters.onnx_runs import LEVELS, session
from tests.refquant.model.small_gru import small_gru, words

NEAR = 2.0**-12
Arrays = Mapping[str, np.ndarray]


def _draw(b: Builder, name: str, shape: tuple[int, ...], *, dtype: str = "float32") -> str:
    rng = np.random.default_rng(sum(shape) + len(b.constants))
    if dtype == "uint8":
        return b.constant(name, rng.integers(0, 2, shape).astype(np.uint8))
    return b.constant(name, rng.integers(-3, 4, shape).astype(dtype))


def _one(
    op: str, x: tuple[int | str, ...], *more: Any, x_dtype: str = "float32", count: int = 1,
    **attributes: Any,
) -> Graph:  # fmt: skip
    """One node: input ``x``, the others constants of integers, or the arrays that are given."""
    b = Builder(op)
    names = [b.input("x", x, dtype=x_dtype)]
    for i, item in enumerate(more):
        if isinstance(item, np.ndarray):
            names.append(b.constant(f"c{i}", item))
        else:
            names.append(_draw(b, f"c{i}", item) if item else "")
    outputs = [f"y{i}" for i in range(count)]
    return b.graph(b.node_with(op, names, outputs, name="node", attributes=attributes))


_IMAGE = ("N", 4, 6, 5)
_ABS = np.array([1, 4, 9, 16], np.float32)
_BOOLS = np.array([[0, 1, 1, 0]], np.uint8)

# Every result of these is exact: integers, or elements of the input.
EXACT: Mapping[str, Callable[[], Graph]] = {
    "Conv": lambda: _one("Conv", _IMAGE, (6, 2, 3, 3), (6,), pads=[1, 0, 1, 2], group=2,
                         strides=[2, 1], dilations=[1, 2]),
    "ConvTranspose": lambda: _one("ConvTranspose", _IMAGE, (4, 3, 3, 2), (3,), strides=[2, 1],
                                  pads=[1, 0, 0, 1], output_padding=[1, 0]),
    "Gemm": lambda: _one("Gemm", ("N", 6), (5, 6), (5,), transB=1),
    "MatMul": lambda: _one("MatMul", ("N", 3, 6), (6, 5)),
    "Add": lambda: _one("Add", ("N", 4), (4,)),
    "Sub": lambda: _one("Sub", ("N", 4), (4,)),
    "Mul": lambda: _one("Mul", ("N", 4), (4,)),
    "Div": lambda: _one("Div", ("N", 4), np.array([1, 2, 4, -8], np.float32)),
    "Relu": lambda: _one("Relu", ("N", 4)),
    "Clip": lambda: _one("Clip", ("N", 4), min=-1.5, max=2.0),
    "Clip max": lambda: _one("Clip", ("N", 4), max=1.0),
    "Clip min": lambda: _one("Clip", ("N", 4), min=1.0),
    "LeakyRelu": lambda: _one("LeakyRelu", ("N", 4), alpha=0.25),
    "Abs": lambda: _one("Abs", ("N", 4)),
    "Neg": lambda: _one("Neg", ("N", 4)),
    "Floor": lambda: _one("Floor", ("N", 4)),
    "Ceil": lambda: _one("Ceil", ("N", 4)),
    "Sign": lambda: _one("Sign", ("N", 4)),
    "Round": lambda: _one("Round", ("N", 4)),
    "Max": lambda: _one("Max", ("N", 4), (4,)),
    "Min": lambda: _one("Min", ("N", 4), (4,)),
    "MaxPool": lambda: _one("MaxPool", _IMAGE, kernel_shape=[3, 2], pads=[1, 0, 1, 1]),
    "AveragePool": lambda: _one("AveragePool", _IMAGE, kernel_shape=[2, 2], pads=[0, 1, 1, 0],
                                count_include_pad=1),
    "GlobalMaxPool": lambda: _one("GlobalMaxPool", _IMAGE),
    "GlobalAveragePool": lambda: _one("GlobalAveragePool", ("N", 4, 4, 8)),
    "Reshape": lambda: _one("Reshape", _IMAGE, shape=[0, 6, -1]),
    "Flatten": lambda: _one("Flatten", _IMAGE),
    "Transpose": lambda: _one("Transpose", _IMAGE, perm=[0, 3, 1, 2]),
    "Concat": lambda: _one("Concat", _IMAGE, axis=2),
    "Pad": lambda: _one("Pad", ("N", 4, 5), pads=[0, 1, 0, 0, 0, 2], value=-1.5),
    "Identity": lambda: _one("Identity", ("N", 4)),
    "Slice": lambda: _one("Slice", _IMAGE, starts=[1, -3], ends=[3, 9], axes=[1, 2]),
    "Squeeze": lambda: _one("Squeeze", ("N", 1, 4, 1), axes=[1, 3]),
    "Unsqueeze": lambda: _one("Unsqueeze", ("N", 4), axes=[1]),
    "ReduceSum": lambda: _one("ReduceSum", _IMAGE, axes=[1, 3], keepdims=0),
    "ReduceMean": lambda: _one("ReduceMean", ("N", 4, 8), axes=[1, 2]),
    "ReduceMax": lambda: _one("ReduceMax", _IMAGE, axes=[2]),
    "ReduceMin": lambda: _one("ReduceMin", _IMAGE, axes=[2, 3], keepdims=0),
    "ArgMax": lambda: _one("ArgMax", _IMAGE, axis=2, keepdims=0),
    "ArgMin": lambda: _one("ArgMin", _IMAGE, axis=1, select_last_index=1),
    "TopK": lambda: _one("TopK", ("N", 9), k=4, largest=0, count=2),
    "Gather": lambda: _one("Gather", ("N", 5), np.array([3, -1, 0], np.int32), axis=1),
    "Cast": lambda: _one("Cast", ("N", 4), to=6),
    "Cast to a truth": lambda: _one("Cast", ("N", 4), to=9),
    "Cast of places": lambda: _one("Cast", ("N", 4), x_dtype="int32", to=1),
    "And": lambda: _one("And", ("N", 4), _BOOLS, x_dtype="uint8"),
    "Or": lambda: _one("Or", ("N", 4), _BOOLS, x_dtype="uint8"),
    "Not": lambda: _one("Not", ("N", 4), x_dtype="uint8"),
    "Where": lambda: _one("Where", ("N", 4), (1, 4), (4,), x_dtype="uint8"),
    **{op: lambda op=op: _one(op, ("N", 4), (1, 4))  # type: ignore[misc]  # bound at once
       for op in ("Equal", "Less", "Greater", "LessOrEqual", "GreaterOrEqual")},
}  # fmt: skip


def _attention(**more: Any) -> Graph:
    b = Builder("Attention")
    q = b.input("x", ("N", "T", 8))
    names = [q, q, q]
    if more.pop("mask", 0):
        names.append(b.input("mask", ("N", 1, 1, "T")))
    heads = {"q_num_heads": 2, "kv_num_heads": 2, **more}
    return b.graph([b.node("Attention", names, name="y0", attributes=heads)])


def _rotary() -> Graph:
    b = Builder("RotaryEmbedding")
    angles = np.arange(16, dtype=np.float32).reshape(8, 2) / 5
    names = [b.input("x", ("N", 3, 8)), b.constant("cos", np.cos(angles)),
             b.constant("sin", np.sin(angles)), b.input("at", ("N", 3), dtype="int32")]  # fmt: skip
    given = {"num_heads": 2, "rotary_embedding_dim": 4, "interleaved": 1}
    return b.graph([b.node("RotaryEmbedding", names, name="y0", attributes=given)])


def _norm(op: str, *params: tuple[int, ...], shape: tuple[int | str, ...] = ("N", 4)) -> Graph:
    b = Builder(op)
    names = [b.input("x", shape)]
    names += [b.constant(f"c{i}", _ABS[: p[0]] / 4) for i, p in enumerate(params)]
    return b.graph([b.node(op, names, name="y0", attributes={"epsilon": 0.125})])


ROUNDED: Mapping[str, Callable[[], Graph]] = {
    **{op: lambda op=op: _one(op, ("N", 8))  # type: ignore[misc]  # bound at once
       for op in ("Exp", "Sigmoid", "Tanh", "Erf", "Gelu", "Swish", "Softplus", "HardSwish")},
    "Gelu tanh": lambda: _one("Gelu", ("N", 8), approximate="tanh"),
    "Elu": lambda: _one("Elu", ("N", 8), alpha=0.7),
    "HardSigmoid": lambda: _one("HardSigmoid", ("N", 8), alpha=0.3, beta=0.4),
    "Softmax": lambda: _one("Softmax", ("N", 8, 3), axis=1),
    "LayerNormalization": lambda: _norm("LayerNormalization", (4,), (4,)),
    "RMSNormalization": lambda: _norm("RMSNormalization", (4,)),
    "BatchNormalization": lambda: _norm("BatchNormalization", (4,), (4,), (4,), (4,),
                                        shape=("N", 4, 3)),
    "Attention": _attention,
    "Attention causal": lambda: _attention(is_causal=1, scale=0.5),
    "Attention mask": lambda: _attention(mask=1),
    "RotaryEmbedding": _rotary,
    "GRU": small_gru,
    "LSTM": lambda: small_gru(op="LSTM"),
    "Log": lambda: _log("Log"),
    "Sqrt": lambda: _log("Sqrt"),
}  # fmt: skip


def _log(op: str) -> Graph:
    b = Builder(op)
    return b.graph([b.node(op, [b.node("Abs", [b.input("x", ("N", 8))])], name="y0")])


def _feeds(graph: Graph, seed: int = 3) -> dict[str, np.ndarray]:
    if "ids" in graph.inputs:
        return dict(words(3))
    rng = np.random.default_rng(seed)
    sizes = {"N": 3, "T": 5}
    feeds = {}
    for name in graph.inputs:
        value = graph.values[name]
        shape = [sizes[d] if isinstance(d, str) else d for d in value.shape]
        low, high = {"uint8": (0, 2), "int32": (0, 8)}.get(value.dtype, (-3, 4))
        drawn = rng.integers(low, high, shape).astype(value.dtype)
        feeds[name] = drawn / 2 if graph.name in _HALVES else drawn
    return feeds


_HALVES = ("Floor", "Ceil", "Round", "Sign")


def _theirs(graph: Graph, feeds: Arrays, level: str) -> list[np.ndarray]:
    made = session(onnx_bytes(graph, form="float"), level=level)
    got: list[np.ndarray] = made.run(list(graph.outputs), dict(feeds))
    return got


@pytest.mark.parametrize("name", EXACT)
def test_exact_operators_have_the_same_bits(name: str) -> None:
    graph = EXACT[name]()
    feeds = _feeds(graph)
    want = run(graph, feeds)
    for level in LEVELS:
        for output, got in zip(graph.outputs, _theirs(graph, feeds, level), strict=True):
            ours = want[output]
            assert got.dtype == ours.dtype, f"{name}: {got.dtype}"
            assert np.array_equal(got, ours), f"{name} {level}: {np.abs(got - ours).max()}"


@pytest.mark.parametrize("name", ROUNDED)
def test_the_others_are_the_same_function(name: str) -> None:
    graph = ROUNDED[name]()
    feeds = _feeds(graph)
    want = run(graph, feeds)
    for output, got in zip(graph.outputs, _theirs(graph, feeds, LEVELS[0]), strict=True):
        ours = want[output]
        assert got.shape == ours.shape, f"{name}: {got.shape}"
        other = ours != got  # equal infinities have no difference
        apart = np.abs(got[other] - ours[other])
        size = np.maximum(1, np.abs(ours[other]))
        assert (apart <= NEAR * size).all(), f"{name}: {apart.max()}"


@pytest.mark.parametrize("name", sorted({*EXACT, *ROUNDED}))
def test_what_is_written_comes_back(name: str) -> None:
    """Not always as one node (Swish is two), but with the same bits."""
    graph = {**EXACT, **ROUNDED}[name]()
    feeds = _feeds(graph)
    shapes = {n: graph.values[n].shape for n in graph.inputs}
    back = import_onnx(onnx_bytes(graph, form="float"), shapes=shapes)
    want, got = run(graph, feeds), run(back, feeds)
    for output, theirs in zip(graph.outputs, back.outputs, strict=True):
        assert np.array_equal(got[theirs], want[output]), f"{name}: {[n.op for n in back.nodes]}"


def test_no_float_operator_is_forgotten() -> None:
    tried = {name.split()[0] for name in (*EXACT, *ROUNDED)}
    codes = {"QuantizeLinear", "DequantizeLinear", "Requantize", "DynamicQuantizeLinear"}
    codes |= {f"{op}Integer{end}" for op in ("MatMul", "Conv") for end in ("", "ToFloat")}
    codes |= {*DYNAMIC, *HYBRID, "ResizeLinear", "L2Normalization"}
    none = REFERENCE_ONLY - {"BatchNormalization"}
    assert tried == set(OPERATORS) - codes - none, f"{tried ^ (set(OPERATORS) - codes - none)}"


def test_letters_are_symbols_and_opsets_the_least() -> None:
    assert draft_onnx(EXACT["Relu"](), form="float").opset == 21, "plain operators"
    assert draft_onnx(_attention(), form="float").opset == 23, "Attention"
    made = session(onnx_bytes(_attention(), form="float"), level=LEVELS[0])
    assert made.get_inputs()[0].shape == ["N", "T", 8], f"{made.get_inputs()[0].shape}"
