"""Dynamic: integers between two float32 worlds, ranges by each sample."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.formats.affine import dequantize
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import State
from refquant.model.params import qparams_of
from refquant.model.quantize import quantize
from refquant.model.recipe import Override, Recipe, Weights, parse_recipe, recipe
from refquant.model.rq import parse_rq, rq_bytes
from refquant.model.stream import Stream
from tests.refquant.model.literals import f32
from tests.refquant.model.small_cnn import samples, small_cnn
from tests.refquant.model.test_quantize_recurrent import data, model

F32 = np.float32


def test_structure() -> None:
    q = quantize(small_cnn(), recipe("w8a8_dynamic"))
    ops = {n.name: n.op for n in q.nodes if n.contract is not None}
    assert ops == {
        "x/quantize": "DynamicQuantizeLinear", "stem": "ConvIntegerToFloat",
        "stem.relu/quantize": "DynamicQuantizeLinear", "dw": "ConvIntegerToFloat",
        "dw.clip/quantize": "DynamicQuantizeLinear", "pw": "ConvIntegerToFloat",
        "mean/quantize": "DynamicQuantizeLinear", "side": "ConvIntegerToFloat",
        "flat/quantize": "DynamicQuantizeLinear", "fc": "MatMulIntegerToFloat",
        "fc.relu/quantize": "DynamicQuantizeLinear", "head": "MatMulIntegerToFloat",
    }, ops  # fmt: skip
    assert q.values["dw.b"].dtype == "float32", "biases stay float32"
    assert q.values["stem.weight"].dtype == "int8", "weights are int8"


def test_readers_of_one_value_share_its_codes() -> None:
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", np.eye(2, dtype=F32))
    g = b.graph([b.node("MatMul", [x, w], name="left"), b.node("MatMul", [x, w], name="right")])
    q = quantize(g, recipe("w8a8_dynamic"))
    assert [n.op for n in q.nodes] == ["DynamicQuantizeLinear", *["MatMulIntegerToFloat"] * 2]
    assert q.nodes[1].inputs == q.nodes[2].inputs, "the same codes, the same weight"


@pytest.mark.parametrize("trans_b", [0, 1])
@pytest.mark.parametrize("granularity", ["per_channel", "per_tensor"])
def test_a_gemm_becomes_a_product_with_columns(trans_b: int, granularity: str) -> None:
    rng = np.random.default_rng(3)
    w, bias = rng.standard_normal((4, 3)).astype(F32), rng.standard_normal(3).astype(F32)
    b = Builder("g")
    stored = b.constant("w", w.T.copy() if trans_b else w)
    operands = [b.input("x", ("N", 4)), stored, b.constant("b", bias)]
    g = b.graph([b.node("Gemm", operands, name="y", attributes={"transB": trans_b})])
    rules = Weights(granularity=granularity)
    q = quantize(g, Recipe("r", "dynamic", "ort", weights=rules))
    x = np.array([[0.0, 255, 17, 3]], F32)  # scale 1, zero point 0: codes are the values
    held = dequantize(q.constants["w"], qparams_of(q, "w"))
    # With these x every product is exact up to the weight's scale, the same for each term.
    expected = x.astype(float) @ held.astype(float) + bias
    got = run(q, {"x": x})["y"]
    assert np.abs(got - expected).max() <= 4 * 2.0**-24 * np.abs(expected).max(), (got, expected)


def test_a_sample_is_computed_by_itself() -> None:
    q = quantize(small_cnn(), recipe("w8a8_dynamic"))
    x = samples(3)["x"] * f32([[[[1]]], [[[100]]], [[[0.01]]]])
    together = run(q, {"x": x})["y"]
    alone = np.concatenate([run(q, {"x": x[i : i + 1]})["y"] for i in range(3)])
    assert together.tobytes() == alone.tobytes(), "the range is each sample's own"


def test_excluded_nodes_stay_float() -> None:
    rules = Override("*", op="Conv", exclude=True)
    q = quantize(small_cnn(), Recipe("r", "dynamic", "ort", weights=Weights(), overrides=(rules,)))
    assert {n.name for n in q.nodes if n.op == "DynamicQuantizeLinear"} == {
        "flat/quantize", "fc.relu/quantize",
    }, "only the two products are left"  # fmt: skip
    assert preset("ort") == q.contracts["ort"], "the contract travels along"


@pytest.mark.parametrize("direction", ["forward", "reverse", "bidirectional"])
@pytest.mark.parametrize("held", [False, True])
@pytest.mark.parametrize(("op", "after"), [("LSTM", 0), ("GRU", 0), ("GRU", 1)])
def test_a_recurrent_layer_becomes_one_of_dynamic_codes(
    op: str, after: int, held: bool, direction: str
) -> None:
    states = ("h", "c")[: 1 + (op == "LSTM")] if held else ()
    graph = model(op, direction=direction, states=states, bias="constant", after=after)
    made = quantize(graph, recipe("int8_dynamic"))
    assert [n.op for n in made.nodes] == [
        f"DynamicQuantize{op}", "DynamicQuantizeLinear", "MatMulIntegerToFloat",
    ], "no codes in front of it: it makes its own"  # fmt: skip
    node, given = made.nodes[0], graph.nodes[0]
    assert (node.name, node.outputs) == ("walk", given.outputs), "names are kept"
    assert node.attributes == given.attributes, "and so is what it does"
    kinds = [made.values[name].dtype if name else "" for name in node.inputs]
    assert kinds == ["float32", "int8", "int8", "float32", *["", *["float32"] * len(states)][
        : len(node.inputs) - 4]], f"{kinds}"  # fmt: skip
    execution = made.meta["numerics"]["execution"]
    assert (execution["codes"], execution["decoded"]) == (3, 0), "and the card counts it as codes"
    assert "recurrent_float32" not in made.meta["numerics"], "nothing was left"
    assert parse_rq(rq_bytes(made), name="m.rq") == made, "and a file"
    inputs = data(graph)
    want, got = run(graph, inputs)["z"], run(made, inputs)["z"]
    noise = np.square(got - want).mean() / np.square(want).mean()
    assert noise < 10**-2.5, f"{op} {direction}: {-10 * np.log10(noise):.1f} dB"


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_layer_that_the_operator_has_not_stays_float_and_the_card_says_why(op: str) -> None:
    half = "products of codes need both weights, and '{}' is excluded"
    rules = [
        (Override("walk", exclude=True), "excluded"),
        (Override("walk", weight="r", exclude=True), half.format("r")),
        (Override("walk", weight="w", exclude=True), half.format("w")),
    ]
    made = []
    for own, reason in rules:
        mine = Recipe("r", "dynamic", "ort", weights=Weights(), overrides=(own,))
        made.append((quantize(model(op), mine), reason))
    made.append((quantize(model(op, bias="input"), recipe("int8_dynamic")), "'bias' is computed"))
    for q, reason in made:
        node = q.nodes[0]
        assert node.op == op, f"{node.op}: excluded, in part, or with a computed bias"
        kinds = [q.values[name].dtype for name in node.inputs[1:3]]
        assert kinds == ["float32", "float32"], "both weights or none"
        assert q.meta["numerics"]["recurrent_float32"] == {"walk": f"{op}: {reason}"}, "and why"


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_the_walk_hears_of_biases_that_are_corrected_before_it(op: str) -> None:
    """Products of a recurrent layer have no bias to correct: listed, its codes the same."""
    text = Path("refquant/model/recipes/w8a8_dynamic.toml").read_text(encoding="utf-8")
    own = parse_recipe(f'{text}[transforms]\nbias_correction = "empirical"\n', name="r")
    graph = model(op, bias="constant")
    made, plain = quantize(graph, own, data(graph)), quantize(graph, recipe("int8_dynamic"))
    record = made.meta["numerics"]["bias_correction"]
    assert {"walk", "walk[2]"} <= set(record["left"]), f"{record}"
    for name in ("w", "r", "bias"):
        assert np.array_equal(made.constants[name], plain.constants[name]), f"{name} as it was"


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_stream_of_it_goes_on_where_it_was(op: str) -> None:
    """Call after call the bits of runs that are handed what was kept."""
    names = ("h", "c")[: 1 + (op == "LSTM")]
    graph = model(op, states=names, bias="constant")
    bound = [State(name, name, f"y{name}") for name in names]
    streaming = replace(graph, states=tuple(bound))
    made = quantize(streaming, recipe("int8_dynamic"))
    assert made.nodes[0].op == f"DynamicQuantize{op}", "a stream, too"
    assert [s.input for s in made.states] == list(names), "with its states"
    stream, held = Stream(made), {name: np.zeros((1, 1, 6), np.float32) for name in names}
    for i in range(3):
        x = data(graph, 3)["x"][i : i + 1]
        got = stream.run({"x": x})["z"]
        pure = run(replace(made, states=(), outputs=("z", *(s.output for s in made.states))),
                   {"x": x, **held})  # fmt: skip
        held = {s.input: pure[s.output] for s in made.states}
        assert np.array_equal(got, pure["z"]), f"call {i}"
