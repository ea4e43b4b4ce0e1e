"""Whole graphs against numbers worked out by hand, and the law of samples."""

from collections.abc import Mapping

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import preset
from refquant.model import execute
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph, Quant

ONNX = preset("onnx")
F32 = np.float32


def f32(*values: float) -> np.ndarray:
    return np.array(values, F32)


def sample_shape(graph: Graph) -> tuple[int, ...]:
    return tuple(int(d) for d in graph.values["x"].shape[1:])


def test_a_float_graph_by_hand() -> None:
    """y = relu([x0 + 3 x1 + 0.5, 2 x0 + 4 x1 - 9])."""
    b = Builder("g")
    w = b.constant("w", np.array([[1, 2], [3, 4]], F32))
    h = b.node("Gemm", [b.input("x", ("N", 2)), w, b.constant("c", f32(0.5, -9))], name="h")
    g = b.graph([b.node("Relu", [h], name="y")])
    result = run(g, {"x": np.array([[1, 1], [-1, 0]], F32)}, keep=["h", "w", "x"])
    assert result["h"].tolist() == [[4.5, -3.0], [-0.5, -11.0]], "the products"
    assert result["y"].tolist() == [[4.5, 0.0], [0.0, 0.0]], "the outputs"
    assert result["w"].tolist() == [[1, 2], [3, 4]], "a constant may be kept"
    assert set(result) == {"y", "h", "w", "x"}, "and nothing else is"


def test_a_quantized_graph_by_hand() -> None:
    """x = 0.5 (q - 10); w = 0.25 c; y = round(0.125 acc / 0.5) + 3 in [-128, 127].

    x = [1.0, -2.0] is q = [12, 6], that is [2, -4] without its zero point. The columns of w are
    [3, 5] and [-2, 7], the bias is [2, 0]: acc = [2*3 - 4*5 + 2, -2*2 - 4*7] = [-12, -32].
    times 0.25: [-3, -8]; plus 3: [0, -5]; clamped to at least -4: [0, -4]; real: [-1.5, -3.5].
    """
    b = Builder("g")
    x = b.input("x", ("N", 2))
    q = b.node("QuantizeLinear", [x], name="q", contract=ONNX, dtype="uint8", quant=Quant(0.5, 10))
    w = b.constant("w", np.array([[3, -2], [5, 7]], np.int8), dtype="int4", quant=Quant(0.25, 0))
    c = b.constant("c", np.array([2, 0], np.int32), quant=Quant(0.125, 0))
    m = b.node(
        "MatMul",
        [q, w, c],
        name="m",
        attributes={"clamp_min": -4},
        contract=ONNX,
        dtype="int8",
        quant=Quant(0.5, 3),
    )
    g = b.graph([m, b.node("DequantizeLinear", [m], name="y", contract=ONNX)])
    result = run(g, {"x": f32(1, -2).reshape(1, 2)}, keep=["q"])
    assert result["q"].tolist() == [[12, 6]], "codes of x"
    assert result["m"].tolist() == [[0, -4]], "codes of the product"
    assert result["m"].dtype == np.int8, "a quantized output comes as codes"
    assert result["y"].tolist() == [[-1.5, -3.5]], "their reals"


def test_a_dynamic_graph_by_hand() -> None:
    """Sample 0 spans [0, 255]: s = 1, z = 0. Sample 1 spans [-51, 0]: s = 0.2, z = 255."""
    b = Builder("g")
    x = b.input("x", ("N", 2))
    b.node_with("DynamicQuantizeLinear", [x], ["q", "s", "z"], name="d", contract=ONNX)
    w = b.constant("w", np.array([[1], [2]], np.int8), quant=Quant(0.5, 0))
    g = b.graph([b.node("MatMulIntegerToFloat", ["q", w, "s", "z"], name="y", contract=ONNX)])
    result = run(g, {"x": np.array([[255, 10], [-51, 0]], F32)}, keep=["q", "s", "z"])
    assert result["q"].tolist() == [[255, 10], [0, 255]], "codes"
    assert result["z"].tolist() == [0, 255], "a zero point a sample"
    assert result["s"].tolist() == [1.0, float(F32(51) / F32(255))], "a scale a sample"
    step = F32(F32(51) / F32(255)) * F32(0.5)
    assert result["y"].tolist() == [[137.5], [float(F32(-255) * step)]], "acc = 275, -255"


def test_a_graph_without_batch_runs_once(zoo: Mapping[str, Graph]) -> None:
    """w_hat = scale (code - zero) in blocks of [2, 1]: column 0 is 0, 1, -6, -2, 56."""
    x = np.zeros((2, 5), F32)
    x[0], x[1, 2] = 1, -0.5
    y = run(zoo["weight_only"], {"x": x})["y"]
    # codes: rows [0 1] [2 3] | [4 5] [6 7] | [8 9]; scale rows [.5 1] [2 4] [8 16]
    first = [0.5 * 0 + 0.5 * 2 + 2 * (4 - 7) + 2 * (6 - 7) + 8 * (8 - 1)]
    second = [1 * (1 - 15) + 1 * (3 - 15) + 4 * (5 - 8) + 4 * (7 - 8) + 16 * (9 - 2)]
    assert y.tolist() == [first + second, [-0.5 * 2 * (4 - 7), -0.5 * 4 * (5 - 8)]], "by hand"


@given(data=st.data(), count=st.integers(1, 5))
def test_a_sample_does_not_see_its_neighbours(
    zoo: Mapping[str, Graph], data: st.DataObject, count: int
) -> None:
    """f(batch)[i] == f(batch[i:i+1])[0], bit for bit, static and dynamic."""
    name = data.draw(st.sampled_from(["float_cnn", "quantized_cnn", "dynamic"]))
    graph = zoo[name]
    seed = data.draw(st.integers(0, 2**32 - 1))
    spread = np.exp2(np.arange(count)).reshape(-1, *(1,) * len(sample_shape(graph)))
    x = np.random.default_rng(seed).standard_normal((count, *sample_shape(graph))) * spread
    x = x.astype(F32)
    together = run(graph, {"x": x})
    for i in range(count):
        alone = run(graph, {"x": x[i : i + 1]})
        for output, array in together.items():
            assert array[i].tobytes() == alone[output][0].tobytes(), f"{name} {output} {i}"


@pytest.mark.parametrize("name", ["float_cnn", "quantized_cnn", "dynamic"])
def test_chunks_do_not_show(
    zoo: Mapping[str, Graph], name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    graph = zoo[name]
    x = np.random.default_rng(0).standard_normal((7, *sample_shape(graph))).astype(F32)
    keep = list(graph.values)
    whole = run(graph, {"x": x}, keep=keep)
    assert set(whole) == set(keep), "every value can be kept"
    monkeypatch.setattr(execute, "CHUNK", 3)
    parts = run(graph, {"x": x}, keep=keep)
    for value in keep:
        assert whole[value].tobytes() == parts[value].tobytes(), value
        assert whole[value].shape == parts[value].shape, value


@pytest.mark.parametrize("name", ["float_cnn", "quantized_cnn", "dynamic"])
def test_no_samples_give_no_results(zoo: Mapping[str, Graph], name: str) -> None:
    graph = zoo[name]
    one = run(graph, {"x": np.zeros((1, *sample_shape(graph)), F32)}, keep=list(graph.values))
    none = run(graph, {"x": np.zeros((0, *sample_shape(graph)), F32)}, keep=list(graph.values))
    for value, array in none.items():
        if value in graph.constants:
            assert array.tobytes() == graph.constants[value].tobytes(), value
            continue
        assert (array.shape, array.dtype) == ((0, *one[value].shape[1:]), one[value].dtype), value


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"inputs must be exactly \['x'\], got \[\]"),
        ({"x": f32(1), "z": f32(1)}, r"exactly \['x'\], got \['x', 'z'\]"),
        ({"x": [[1.0] * 4]}, "'x' must be an array of float32, got a list"),
        ({"x": np.zeros((1, 4))}, "'x' must be an array of float32, got float64; convert it"),
        ({"x": np.zeros((1, 5), F32)}, r"shape \['N', 4\] with N = 1, got \[1, 5\]"),
        ({"x": np.zeros(4, F32)}, r"shape \['N', 4\]"),
        ({"x": np.zeros((), F32)}, r"shape \['N', 4\]"),
    ],
)
def test_a_wrong_input_is_named(
    zoo: Mapping[str, Graph], inputs: dict[str, np.ndarray], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        run(zoo["dynamic"], inputs)


def test_inputs_have_the_same_number_of_samples() -> None:
    b = Builder("g")
    names = [b.input("a", ("N", 1)), b.input("b", ("N", 1))]
    g = b.graph([b.node("Add", names)])
    with pytest.raises(ValueError, match=r"input 'b' must have shape .* with N = 2, got \[3, 1\]"):
        run(g, {"a": np.zeros((2, 1), F32), "b": np.zeros((3, 1), F32)})


def test_only_values_can_be_kept(zoo: Mapping[str, Graph]) -> None:
    with pytest.raises(ValueError, match="keep names 'none'"):
        run(zoo["dynamic"], {"x": np.zeros((1, 4), F32)}, keep=["none"])


def test_a_value_of_constants_alone_is_the_same_for_all_samples() -> None:
    b = Builder("g")
    c = b.node("Neg", [b.constant("c", np.array([[1, 2]], F32))], name="d")
    g = b.graph([b.node("Add", [b.input("x", ("N", 2)), c], name="y")])
    result = run(g, {"x": np.zeros((3, 2), F32)}, keep=["d"])
    assert result["d"].tolist() == [[-1, -2]], "it has no batch"
    assert result["y"].tolist() == [[-1, -2]] * 3, "and reaches every sample"


def test_outputs_belong_to_the_caller() -> None:
    b = Builder("g")
    g = b.graph([b.node("Identity", [b.input("x", (2,))], name="y")])
    x = np.zeros(2, F32)
    run(g, {"x": x})["y"][0] = 1
    assert x[0] == 0, "an output is no view of an input"
