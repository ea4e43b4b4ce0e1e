"""The simulated scheme: who is rounded, by which scale, and what it is good for."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.metrics import sqnr_db
from refquant.model.quantize import quantize
from refquant.model.quantize_simulated import (
    calibrate_inputs,
    round_inputs,
    rounded_values,
    static_scales,
)
from refquant.model.quantize_weight_only import quantize_weight_only
from refquant.model.recipe import Inputs, Override, Recipe, Weights, parse_recipe, recipe
from refquant.model.rq import RqFormatError, parse_rq, read_rq, rq_bytes, write_rq
from refquant.ops.fake_quantize import fake_quantize
from tests.refquant.model.small_cnn import fitted, samples, small_cnn

F = np.float32
ORT = preset("ort")
SHIPPED = ("fp8_static", "fp8_dynamic", "w8a8_per_token", "llm_int8", "mxfp8", "mxfp4_w4a4",
           "nvfp4_w4a4")  # fmt: skip


def made(text: str, graph: Graph | None = None, data: Any = None) -> Graph:
    head = 'scheme = "simulated"\ncontract = "ort"\n'
    rules = parse_recipe(head + text, name="r")
    return quantize(graph or small_cnn(), rules, data or samples(6))


def branches() -> Graph:
    """Values with several readers: two MatMuls, an Add, a Conv beside a MatMul."""
    rng = np.random.default_rng(0)

    def w(*shape: int) -> np.ndarray[Any, Any]:
        return rng.standard_normal(shape).astype(F)

    b = Builder("branches")
    x = b.input("x", ("N", 4, 6))
    q = b.node("MatMul", [x, b.constant("wq", w(6, 6))], name="q")
    k = b.node("MatMul", [x, b.constant("wk", w(6, 6))], name="k")
    c = b.node("Conv", [x, b.constant("wc", w(4, 4, 1))], name="c")
    s = b.node("Add", [b.node("Add", [q, k], name="qk"), x], name="s")
    return b.graph([b.node("Add", [s, c], name="y")])


def test_a_value_is_rounded_once_for_its_readers_and_others_read_it_as_it_is() -> None:
    g = made('[inputs]\nformat = "int8"\n[weights]\n', branches(), {"x": np.ones((2, 4, 6), F)})
    nodes = {n.name: n for n in g.nodes}
    assert [n.op for n in g.nodes].count("FakeQuantize") == 2, "x along two axes"
    assert nodes["q"].inputs[0] == nodes["k"].inputs[0] == "x/rounded", "shared"
    assert nodes["c"].inputs[0] == "x/rounded_", "a Conv's tokens run along the channels"
    assert nodes["x/fake_quantize_"].attributes["axis"] == 1, "axis 1"
    assert "axis" not in nodes["x/fake_quantize"].attributes, "the last one is the default"
    assert nodes["s"].inputs[1] == "x", "a residual is not rounded"
    g = made('[inputs]\nformat = "int8"\ngranularity = "tensor"\n[weights]\n', branches(),
             {"x": np.ones((2, 4, 6), F)})  # fmt: skip
    assert [n.op for n in g.nodes].count("FakeQuantize") == 1, "a tensor has no axis"
    g = made('[inputs]\nformat = "int8"\n[weights]\n[[override]]\nnodes = "k"\nexclude = true\n',
             branches(), {"x": np.ones((2, 4, 6), F)})  # fmt: skip
    assert {n.name: n for n in g.nodes}["k"].inputs[0] == "x", "excluded: float32, all of it"
    assert rounded_values(g)[0]["readers"] == ["q"], rounded_values(g)


def test_names_that_are_there_already_are_left_in_peace() -> None:
    b = Builder("g")
    w = b.constant("x/rounded", np.eye(2, dtype=F))
    g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="x/fake_quantize")])
    done = made('[inputs]\nformat = "fp8_e4m3"\nrange = "static"\n[weights]\n', g,
                {"x": np.ones((1, 2), F)})  # fmt: skip
    assert [n.name for n in done.nodes] == ["x/fake_quantize_", "x/fake_quantize"], "appended _"
    assert done.nodes[0].inputs == ("x", "x/rounded_/scale"), done.nodes[0]


def test_what_a_layer_computes_is_said_by_the_operator() -> None:
    """End to end by hand: y = fake(x) times the decoded weight."""
    rng = np.random.default_rng(4)
    w, x = rng.standard_normal((40, 3)).astype(F), rng.standard_normal((5, 40)).astype(F)
    b = Builder("g")
    g = b.graph([b.node("MatMul", [b.input("x", ("N", 40)), b.constant("w", w)], name="y")])
    for how in (Inputs("int8"), Inputs("int4", clip_ratio=0.9), Inputs("fp8_e5m2"),
                Inputs("mxfp6_e2m3"), Inputs("int8", threshold=2.0)):  # fmt: skip
        rules = Recipe("r", "simulated", "ort", weights=Weights(), inputs=how)
        got = run(quantize(g, rules), {"x": x})["y"]
        plain = quantize(g, recipe("w8_weight_only"))
        own = ORT if how.format.startswith("int") else None
        rounded = [
            fake_quantize(
                row[None], format=how.format, granularity=how.granularity,
                clip_ratio=how.clip_ratio, threshold=how.threshold, contract=own,
            )
            for row in x
        ]  # fmt: skip
        want = run(plain, {"x": np.concatenate(rounded)})["y"]
        assert got.tobytes() == want.tobytes(), f"{how}"


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_quantize_write_read_and_run(name: str, tmp_path: Path) -> None:
    graph = small_cnn(softmax=False)
    rules = fitted(recipe(name))
    q = quantize(graph, rules, samples(6) if rules.needs_data else None)
    write_rq(tmp_path / "m.rq", q)
    again = read_rq(tmp_path / "m.rq")
    assert again == q, "the file is the graph"
    x = samples(5, seed=9)
    y = run(again, x)["head"]
    for i in range(5):
        alone = run(q, {"x": x["x"][i : i + 1]})["head"]
        assert alone.tobytes() == y[i : i + 1].tobytes(), "a sample does not see its neighbours"
    exact = run(graph, x)["head"]
    # Witnesses of the formats, at this seed: 4 bits keep a signal, 8 bits most of it.
    least = 3.0 if "w4a4" in name else 14.0
    assert sqnr_db(exact, y) > least, f"{name}: {sqnr_db(exact, y):.1f} dB"
    card = q.meta["numerics"]
    assert card["inputs"] == rules.to_json()["inputs"], "with every default"
    assert [r["value"] for r in card["rounded"]] == [
        n.inputs[0] for n in q.nodes if n.op == "FakeQuantize"
    ], card["rounded"]
    assert card["reference_only"] == ["FakeQuantize"], "said in the card"
    assert card["execution"]["simulated"] == len(card["rounded"]), card["execution"]
    text = rq_bytes(q)
    assert b'"refquant/2"' in text[:400], "the operator needs version 2"
    with pytest.raises(RqFormatError, match="the graph needs 'refquant/2'"):
        parse_rq(text.replace(b'"refquant/2"', b'"refquant/1"', 1), name="m.rq")


def test_static_scales_are_what_calibration_saw() -> None:
    data = samples(6)
    graph = small_cnn()
    largest = float(np.abs(data["x"]).max())
    for format, scale in (("fp8_e4m3", F(largest) / F(448)), ("int8", F(largest / 127))):
        q = made(f'[inputs]\nformat = "{format}"\nrange = "static"\n[weights]\n', graph, data)
        rows = {r["value"]: r for r in rounded_values(q)}
        assert rows["x"]["scale"] == float(scale), rows["x"]
        assert rows["x"]["range"] == "static", rows["x"]
        assert q.meta["calibration"]["samples"] == 6, "recorded"
    q = made('[inputs]\nformat = "nvfp4"\nrange = "static"\n[weights]\n', graph, data)
    assert rounded_values(q)[0]["scale"] == float(F(largest) / F(2688)), "g"
    clipped = Inputs("int8", range="static", observer="percentile", options={"percentile": 90})
    seen = calibrate_inputs(graph, data, nodes=["stem"], rules=clipped, sums="ordered")
    found = static_scales(seen, rules=clipped, contract=ORT)
    assert found["x"] < largest / 127 / 2, "the observer has its way"
    assert list(found) == ["x"], "of the nodes asked for"


def test_static_ranges_need_data_that_can_be_used() -> None:
    rules = recipe("fp8_static")
    with pytest.raises(ValueError, match="calibration data are missing"):
        quantize(small_cnn(), rules)
    bad = samples(2)
    bad["x"][0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="1 NaN or infinity"):
        quantize(small_cnn(), rules, bad)
    quantize(small_cnn(), recipe("fp8_dynamic"))  # none needed, none asked for


def test_weights_are_those_of_weight_only_whatever_the_inputs() -> None:
    """GPTQ sees inputs that are not rounded, so its codes do not depend on [inputs]."""
    graph, data = outliers()
    weights = recipe("int4_gptq")
    alone = quantize(graph, weights, data)
    both = replace(weights, scheme="simulated", inputs=Inputs("int4"))
    together = quantize(graph, both, data)
    for name, array in alone.constants.items():
        assert np.array_equal(together.constants[name], array), name
    losses = [r["loss"] for r in alone.meta["numerics"]["layers"]]
    assert [r["loss"] for r in together.meta["numerics"]["layers"]] == losses, "and so their losses"


def test_a_scheme_without_inputs_to_round_is_the_weights_alone() -> None:
    b = Builder("g")
    g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    done = quantize(g, recipe("fp8_dynamic"))
    assert [n.op for n in done.nodes] == ["Relu"], "nothing to do"


def outliers() -> tuple[Graph, dict[str, Any]]:
    """A norm whose gain makes two of 64 channels 60 times larger, and a layer that reads it.

    Without bias: a constant part of the outputs would be signal that no rounding harms.
    """
    rng = np.random.default_rng(12)
    gain = np.ones(64, F)
    gain[[9, 40]] = 60.0
    b = Builder("outliers")
    h = b.node(
        "LayerNormalization", [b.input("x", ("N", "T", 64)), b.constant("g", gain)], name="h"
    )
    w = rng.standard_normal((64, 32)).astype(F)
    w[[9, 40]] /= 60  # as trained models have it: the layer has learned to live with them
    g = b.graph([b.node("MatMul", [h, b.constant("w", w)], name="y")])
    return g, {"x": rng.standard_normal((8, 16, 64)).astype(F)}


def decibels(graph: Graph, rules: Recipe, data: dict[str, Any]) -> float:
    y = run(quantize(graph, rules, data if rules.needs_data else None), data)["y"]
    return float(sqnr_db(run(graph, data)["y"], y))


def test_llm_int8_a_threshold_rescues_what_outlier_columns_ruin() -> None:
    graph, data = outliers()
    coded = run(quantize(graph, recipe("w8_weight_only")), data)["y"]  # the same weights
    found = {}
    for label, how in (("plain", Inputs("int8")), ("mixed", Inputs("int8", threshold=6.0))):
        rules = replace(recipe("w8a8_per_token"), inputs=how)
        found[label] = sqnr_db(coded, run(quantize(graph, rules), data)["y"])
    plain, mixed = found["plain"], found["mixed"]
    assert plain < 15, f"per token, plain: {plain:.1f} dB (14.9 measured)"
    assert mixed > 43, f"with the threshold: {mixed:.1f} dB (44.0 measured)"
    whole = [decibels(graph, recipe(name), data) for name in ("w8a8_per_token", "llm_int8")]
    assert whole[1] > whole[0] + 5, f"the shipped recipe, its weights' errors included: {whole}"


def test_small_floats_live_with_outliers_of_a_row() -> None:
    """An FP8 step follows the magnitude: outliers cost a row what 60 costs 448, not 60 of 127."""
    graph, data = outliers()
    int8 = decibels(graph, recipe("w8a8_per_token"), data)
    fp8 = decibels(graph, recipe("fp8_dynamic"), data)
    static = decibels(graph, recipe("fp8_static"), data)
    assert fp8 > int8 + 8, f"FP8 {fp8:.1f} dB, int8 {int8:.1f} dB (per token)"
    assert abs(fp8 - static) < 1, f"one scale for all is as good: {static:.1f} dB"


def test_smoothing_wins_where_one_scale_serves_outlier_channels() -> None:
    graph, data = outliers()
    plain = decibels(graph, recipe("w8a8_static_linear"), data)
    smooth = decibels(graph, recipe("w8a8_smoothquant_static"), data)
    assert plain < 9, f"plain: {plain:.1f} dB (8.3 measured)"
    assert smooth > 38, f"smooth: {smooth:.1f} dB (38.6 measured)"


def test_the_weights_of_the_graph_decide_who_is_rounded() -> None:
    b = Builder("g")
    w = b.constant("w", np.eye(2, dtype=F))
    g = b.graph([b.node("MatMul", [b.input("x", ("N", 2)), w], name="y")])
    coded = quantize_weight_only(g, {}, contract=ORT).graph(g.outputs)
    same = round_inputs(coded, Inputs("int8"), contract=ORT, scales={})
    assert [n.op for n in same.nodes] == ["MatMul"], "a float32 weight has float32 inputs"
    assert Override("y", exclude=True).exclude, "which is what an exclusion leaves"


@pytest.mark.parametrize(
    "how", [Inputs("int8", "tensor"), Inputs("fp8_e4m3", "tensor"), Inputs("nvfp4"),
            Inputs("int4", threshold=1.5)],
    ids=lambda how: f"{how.format} {how.granularity}",
)  # fmt: skip
def test_ranges_of_a_whole_sample_are_its_own(how: Inputs) -> None:
    """The loud neighbour comes first: whoever took its range, or its columns, would show it."""
    rules = replace(recipe("w8a8_per_token"), inputs=how)
    q = quantize(small_cnn(softmax=False), rules)
    x = samples(3, seed=2)["x"]
    x[0] *= 100
    together = run(q, {"x": x})["head"]
    for i in range(3):
        alone = run(q, {"x": x[i : i + 1]})["head"]
        assert alone.tobytes() == together[i : i + 1].tobytes(), f"sample {i}"
