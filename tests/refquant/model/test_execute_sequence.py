"""The operators of sequences reach their functions, and onnxruntime computes nearly the same.

Bounds: two results of n float32 roundings each along the longest path, of terms whose absolute
values sum to ``size``, are within 2 gamma_n size (Higham, 2nd ed., section 3.1); sigmoid and tanh
add their own error (2.5 and 1.4 ulp, `refquant.numerics.transcendental`), counted as 3 roundings a
step and as many for onnxruntime's; what a contraction (a gate in [0, 1]) passes on is not larger.
"""

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.execute_sequence import SEQUENCE
from refquant.model.graph import Graph, Quant, Value
from refquant.model.operators import WEIGHTS
from tests.refquant.model.onnx_twin import run_twin

RNG = np.random.default_rng(0)
Arrays = dict[str, NDArray[Any]]


def reals(*shape: int) -> NDArray[np.float32]:
    return RNG.standard_normal(shape).astype(np.float32)


def one_node(op: str, operands: list[Any], count: int, **attributes: Any) -> tuple[Graph, Arrays]:
    """Return a graph of one node; its first operand is the input, the others are constants."""
    b = Builder("g")
    first = operands[0]
    kind = "int32" if first.dtype == np.int32 else "float32"
    names = [b.input("x", ("N", "T", *first.shape[2:]), dtype=kind)]
    inputs = {"x": first}
    for i, operand in enumerate(operands[1:], 1):
        if operand is not None and operand.shape[:1] == first.shape[:1]:
            kind = "int32" if operand.dtype == np.int32 else "float32"
            steps = first.shape[1]  # none of the other sizes here
            shape = ["T" if size == steps else size for size in operand.shape[1:]]
            names.append(b.input(f"c{i}", ("N", *shape), dtype=kind))
            inputs[f"c{i}"] = operand
        else:
            names.append("" if operand is None else b.constant(f"c{i}", operand))
    outputs = [f"y{i}" for i in range(count)]
    made = b.node_with(op, names, outputs, name="node", attributes=attributes)
    return b.graph(made), inputs


def agree(graph: Graph, inputs: Arrays, roundings: int, size: float) -> None:
    """Check that onnxruntime is within 2 gamma_n ``size`` of us."""
    ours, theirs = run(graph, inputs), run_twin(graph, inputs)
    gamma = roundings * 2.0**-24 / (1 - roundings * 2.0**-24)
    for name in graph.outputs:
        assert ours[name].shape == theirs[name].shape, f"{name}: {theirs[name].shape}"
        apart = float(np.abs(ours[name].astype(np.float64) - theirs[name]).max())
        assert apart <= 2 * gamma * size, f"{name}: {apart} apart, {2 * gamma * size} is the bound"


@pytest.mark.parametrize("causal", [0, 1])
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_attention(groups: int, causal: int) -> None:
    counts = {"q_num_heads": 4, "kv_num_heads": groups, "is_causal": causal, "scale": 0.25}
    q, k, v = reals(2, 5, 12), reals(2, 5, 3 * groups), reals(2, 5, 3 * groups)
    # scores of 3 terms: an absolute error e makes a weight e relative; then 5 terms, all |v| <= max
    size = float(np.abs(v).max()) * (2 + 2 * 3 * float(np.abs(q).max() * np.abs(k).max()) * 0.25)
    graph, inputs = one_node("Attention", [q, k, v], 1, **counts)
    agree(graph, inputs, 5 + 5 + 8, size)


def test_attention_with_a_mask_of_numbers() -> None:
    q = reals(2, 5, 12)
    mask = reals(2, 1, 5, 5)
    graph, inputs = one_node("Attention", [q, q, q, mask], 1, q_num_heads=3, kv_num_heads=3)
    bound = float(np.abs(q).max()) * (2 + 2 * (4 * float(np.abs(q).max()) ** 2 + 3))
    agree(graph, inputs, 5 + 5 + 8, bound)


@pytest.mark.parametrize("interleaved", [0, 1])
def test_rotary_embedding(interleaved: int) -> None:
    x, places = reals(2, 5, 12), RNG.integers(0, 7, (2, 5)).astype(np.int32)
    angle = reals(7, 2)
    options = {"num_heads": 3, "interleaved": interleaved}
    graph, inputs = one_node(
        "RotaryEmbedding", [x, np.cos(angle), np.sin(angle), places], 1, **options
    )
    agree(graph, inputs, 2, 2 * float(np.abs(x).max()))


@pytest.mark.parametrize("op", ["LayerNormalization", "RMSNormalization"])
def test_normalizations(op: str) -> None:
    x, rest = reals(2, 5, 12), [reals(12) for _ in range(2 if op[0] == "L" else 1)]
    graph, inputs = one_node(op, [x, *rest], 1, epsilon=1e-3)
    # x - mean is off by 12 u max|x|, which 1/std enlarges: all vectors here have std > 1/4
    agree(graph, inputs, 2 * 12 + 6, 4 * float(np.abs(x).max() * (np.abs(rest[0]).max() + 1)) + 4)


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize(("op", "gates"), [("GRU", 3), ("LSTM", 4)])
@pytest.mark.parametrize("after", [0, 1])
def test_recurrent_layers(op: str, gates: int, direction: str, after: int) -> None:
    d, h = (2 if direction == "bidirectional" else 1), 4
    x, w, r = reals(3, 5, 3), reals(d, gates * h, 3) / 4, reals(d, gates * h, h) / 4
    states = [reals(3, d, h) for _ in range(gates - 2)]
    reset = {"linear_before_reset": after} if op == "GRU" else {}
    options = {"hidden_size": h, "layout": 1, "direction": direction, **reset}
    operands = [x, w, r, reals(d, 2 * gates * h), None, *states]
    graph, inputs = one_node(op, operands, gates - 1, **options)
    # 5 steps of two dot products (3 and 4 terms, biases) and a few gates; |c| may reach 8
    agree(graph, inputs, 5 * (3 + 4 + 3 + 12), 8.0)


def test_gather_cast_reductions_and_the_movement_of_axes() -> None:
    b = Builder("g")
    ids = b.input("ids", ("N", "T"), dtype="int32")
    x = b.node("Gather", [b.constant("table", reals(7, 4)), ids], name="rows")
    weight = b.node("Cast", [ids], attributes={"to": 1}, name="weight")
    row = b.node("Unsqueeze", [weight], attributes={"axes": [1]}, name="row")
    total = b.node("MatMul", [row, x], name="total")
    flat = b.node("Squeeze", [total], attributes={"axes": [1]}, name="flat")
    part = {"starts": [1], "ends": [-1], "axes": [1]}
    outputs = [
        b.node("Slice", [flat], attributes=part, name="part"),
        b.node("ReduceSum", [x], attributes={"axes": [1], "keepdims": 0}, name="sum"),
        b.node("ReduceMean", [x], attributes={"axes": [2]}, name="mean"),
        b.node("Gelu", [x], attributes={"approximate": "tanh"}, name="gelu"),
        b.node("Softmax", [x], attributes={"axis": 1}, name="softmax"),
    ]
    inputs = {"ids": RNG.integers(0, 7, (2, 5)).astype(np.int32)}
    agree(b.graph(outputs), inputs, 2 * 5 + 12, 5 * 7 * 4.0)


@pytest.mark.parametrize("op", ["Gather", "GRU", "LSTM"])
def test_weights_of_codes_are_dequantized_first(op: str) -> None:
    """A node with codes of scale 1/2 computes what it computes with the halves."""
    gates = 4 if op == "LSTM" else 3
    codes = RNG.integers(-8, 8, (1, gates * 2, 3)).astype(np.int8)
    again = RNG.integers(-8, 8, (1, gates * 2, 2)).astype(np.int8)
    results = []
    for quant in (Quant(0.5, 0), None):
        b = Builder("g")

        def weight(name: str, array: NDArray[Any], b: Builder = b, q: Any = quant) -> str:
            given = array if q else array.astype(np.float32) / 2
            return b.constant(name, given, dtype="int8" if q else "float32", quant=q)

        contract = preset("onnx") if quant else None
        if op == "Gather":
            ids = b.input("x", ("N", "T"), dtype="int32")
            names = [weight("w", codes[0]), ids]
            b.node_with(op, names, ["y"], name="n", contract=contract)
            x: NDArray[Any] = np.array([[0, 2]], np.int32)
        else:
            names = [b.input("x", ("N", "T", 3)), weight("w", codes), weight("r", again)]
            options = {"hidden_size": 2, "layout": 1}
            outputs = ["y", "h", "c"][: gates - 1]
            b.node_with(op, names, outputs, name="n", attributes=options, contract=contract)
            x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(1, 2, 3)
        results.append(run(b.graph(["y"]), {"x": x})["y"])
    assert np.array_equal(results[0], results[1]), f"{op}: codes are their reals"
    assert op in WEIGHTS, "and a quantizer may know it"


def test_every_length_runs_and_lengths_must_agree() -> None:
    b = Builder("g")
    x, y = b.input("x", ("N", "T", 2)), b.input("y", ("N", 2, "T"))
    g = b.graph([b.node("MatMul", [x, y], name="z")])
    assert g.values["z"].shape == ("N", "T", "T"), "a length is copied"
    for steps in (1, 2, 7):
        given = {"x": reals(3, steps, 2), "y": reals(3, 2, steps)}
        assert run(g, given)["z"].shape == (3, steps, steps), f"{steps} steps"
    none = {"x": reals(0, 4, 2), "y": reals(0, 2, 4)}
    assert run(g, none)["z"].shape == (0, 4, 4), "no samples, but a length"
    with pytest.raises(ValueError, match=r"input 'y' must have shape .* with N = 3, T = 4, got"):
        run(g, {"x": reals(3, 4, 2), "y": reals(3, 2, 5)})
    with pytest.raises(ValueError, match="input 'x' must have at least one step"):
        run(g, {"x": reals(3, 0, 2), "y": reals(3, 2, 0)})


def test_fast_sums_are_near_and_asked_for() -> None:
    b = Builder("g")
    w = b.constant("w", reals(300, 5))
    g = b.graph([b.node("MatMul", [b.input("x", ("N", "T", 300)), w], name="y")])
    x = reals(2, 3, 300)
    ordered, fast = (run(g, {"x": x}, sums=sums)["y"] for sums in ("ordered", "blas"))
    size = np.abs(x).astype(np.float64) @ np.abs(g.constants["w"])
    assert (np.abs(ordered - fast.astype(np.float64)) <= 601 * 2.0**-24 * size).all(), "gamma_2K"
    assert np.array_equal(run(g, {"x": x})["y"], ordered), "the default is the order of the text"
    with pytest.raises(ValueError, match="sums must be one of"):
        run(g, {"x": x}, sums="fast")


def test_every_operator_of_sequences_is_asked_here() -> None:
    asked = {"Attention", "RotaryEmbedding", "LayerNormalization", "RMSNormalization", "GRU"}
    asked |= {"LSTM", "Gather", "Cast", "Unsqueeze", "Squeeze", "Slice", "ReduceSum", "ReduceMean"}
    asked |= {"DynamicQuantizeLSTM"}  # by onnxruntime, in test_onnx_dynamic.py
    asked |= {"DynamicQuantizeGRU"}  # its products by onnxruntime, in test_dynamic_gru.py
    assert asked == {*SEQUENCE, "Gather", "Cast"}, "an operator without an outsider's opinion"


def test_plain_int32_is_for_tokens_only() -> None:
    b = Builder("g")
    ids = b.input("ids", ("N", "T"), dtype="int32")
    b.node("Add", [ids, ids], name="y")
    with pytest.raises(ValueError, match="input 'ids' is float32 without quant, got int32"):
        b.graph(["y"])
    b = Builder("g")
    x = b.input("x", ("N", "T"))
    b.node("Gather", [b.constant("table", reals(3, 2)), x], name="y")
    with pytest.raises(ValueError, match="input 'x' is int32 without quant, got float32"):
        b.graph(["y"])


def test_a_length_that_no_input_has_is_refused() -> None:
    x = Value("float32", ("N", 2))
    y = Value("float32", ("N", "T"))
    from refquant.model.graph import Node
    from refquant.model.validate import GraphError, validate

    g = Graph(
        "g", ("x",), ("y",), {"x": x, "y": y}, (Node("n", "Relu", ("x",), ("y",)),), {}, {}, {}
    )
    with pytest.raises(GraphError, match=r"output 'y' has shape|length T that no input has"):
        validate(g)
