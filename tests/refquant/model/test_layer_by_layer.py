"""Layer by layer on the quantized prefix, in one order, with one Hessian at a time."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.algorithms.hessian import Hessian
from refquant.contracts import preset
from refquant.model import layer_by_layer
from refquant.model.build import Builder
from refquant.model.checkpoint import open_checkpoint
from refquant.model.coded import coded_reals
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.frontier import Held, hold
from refquant.model.graph import Graph
from refquant.model.layer_by_layer import LayerDone, quantize_layers
from refquant.model.quantize import quantize
from refquant.model.quantize_layer import Seen, quantize_layer
from refquant.model.quantize_rules import rules_of
from refquant.model.quantize_weight_only import assemble
from refquant.model.recipe import parse_recipe, recipe
from refquant.model.recipe_rules import Weights
from refquant.model.weight_matrix import tokens_of
from tests.refquant.model.small_cnn import fitted, samples, small_cnn

ORT = preset("ort")


def walk(graph: Graph, rules: dict[str, Weights], held: Held | None, **options: Any) -> Any:
    given = {"contract": ORT, "sums": "ordered", "store": None, "report": lambda done: None}
    return quantize_layers(graph, rules, held=held, **{**given, **options})


def test_each_layer_is_fitted_to_what_the_quantized_ones_before_make() -> None:
    """The law of the module, by the executor: quantize one, run the model, quantize the next."""
    graph, data = fold(small_cnn()), samples(12)
    _, rules = rules_of(graph, fitted(recipe("int4_gptq")))
    coded, records = walk(graph, rules, hold(graph, data))
    constants = dict(graph.constants)
    for node in [n for n in graph.nodes if n.name in rules]:
        now = replace(graph, constants=dict(constants))
        x = {**run(now, data, keep=[node.inputs[0]]), **data}[node.inputs[0]]
        w = graph.constants[node.inputs[1]]
        seen = None
        if rules[node.name].algorithm == "gptq":
            rows = tokens_of(node, x, w.shape)
            seen = Seen(Hessian(rows.shape[1]).update(rows), lambda rows=rows: iter([rows]))  # type: ignore[misc]  # bound now
        expected, cost = quantize_layer(
            node, w, rules[node.name], contract=ORT, seen=seen, name=node.inputs[1]
        )
        got = coded[node.name]
        assert got.codes.tobytes() == expected.codes.tobytes(), f"{node.name}: other codes"
        record = next(r for r in records if r["node"] == node.name)
        assert record["loss"] == cost["loss"], f"{node.name}: {record} is not {cost}"
        constants[node.inputs[1]] = coded_reals(got)


def test_the_file_computes_what_the_walk_computed() -> None:
    graph, data = fold(small_cnn(softmax=False)), samples(12)
    _, rules = rules_of(graph, fitted(recipe("int4_gptq")))
    coded, _ = walk(graph, rules, hold(graph, data))
    made = assemble(graph, coded, contract=ORT).graph(graph.outputs)
    float_weights = {n.inputs[1]: coded_reals(coded[n.name]) for n in graph.nodes
                     if n.name in coded}  # fmt: skip
    expected = run(replace(graph, constants={**graph.constants, **float_weights}), data)
    got = run(made, data)
    for name in graph.outputs:
        assert got[name].tobytes() == expected[name].tobytes(), "codes mean other weights"


def test_layers_that_read_one_value_share_its_hessian(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    b = Builder("g")
    x = b.input("x", ("N", 8))
    parts = [
        b.node("MatMul", [x, b.constant(f"w{i}", rng.standard_normal((8, 4)).astype(np.float32))],
               name=f"m{i}")
        for i in range(3)
    ]  # fmt: skip
    graph = b.graph(parts)
    held = hold(graph, {"x": rng.standard_normal((20, 8)).astype(np.float32)})
    calls = []
    update = Hessian.update

    def counted(self: Hessian, batch: Any) -> Hessian:
        calls.append(len(batch))
        return update(self, batch)

    monkeypatch.setattr(Hessian, "update", counted)
    walk(graph, {name: Weights(4, algorithm="gptq") for name in parts}, held)
    assert len(calls) == len(held.batches), "one pass over the data for the three of them"


@pytest.mark.parametrize("at_least", [1, 5, 100])
def test_how_many_tokens_go_at_a_time_changes_no_bit(
    at_least: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(4)
    b = Builder("g")
    w = b.constant("w", rng.standard_normal((8, 8)).astype(np.float32))
    graph = b.graph([b.node("MatMul", [b.input("x", ("N", "T", 8)), w], name="m")])
    data = {"x": rng.standard_normal((13, 3, 8)).astype(np.float32)}
    seen = []
    update = Hessian.update
    monkeypatch.setattr(layer_by_layer, "_TOKENS", at_least)

    def counted(self: Hessian, batch: Any) -> Hessian:
        seen.append(len(batch))
        return update(self, batch)

    monkeypatch.setattr(Hessian, "update", counted)
    coded, records = walk(graph, {"m": Weights(3, algorithm="gptq")}, hold(graph, data))
    assert seen == {1: [12, 12, 12, 3], 5: [12, 12, 12, 3], 100: [39]}[at_least], "gathered"
    monkeypatch.undo()
    once = Seen(Hessian(8).update(data["x"].reshape(-1, 8)), lambda: iter([]))
    expected, cost = quantize_layer(graph.nodes[0], graph.constants["w"],
        Weights(3, algorithm="gptq"), contract=ORT, seen=once, name="w")  # fmt: skip
    assert coded["m"].codes.tobytes() == expected.codes.tobytes(), "other codes"
    assert records[0]["loss"] == cost["loss"], "another loss"


def test_a_weight_of_two_layers_may_become_two_constants() -> None:
    rng = np.random.default_rng(2)
    b = Builder("g")
    w = b.constant("w", rng.standard_normal((8, 8)).astype(np.float32))
    h = b.node("Relu", [b.node("MatMul", [b.input("x", ("N", 8)), w], name="m1")], name="r")
    graph = b.graph([b.node("MatMul", [h, w], name="m2")])
    held = hold(graph, {"x": rng.standard_normal((40, 8)).astype(np.float32)})
    rules = {name: Weights(2, algorithm="gptq") for name in ("m1", "m2")}
    coded, _ = walk(graph, rules, held)
    made = assemble(graph, coded, contract=ORT).graph(graph.outputs)
    assert made.nodes[0].inputs[1] == "w", "the first keeps the name"
    assert made.nodes[2].inputs[1] == "w/m2", "each is fitted to its own inputs"


def test_a_listener_hears_of_each_layer_in_order(tmp_path: Any) -> None:
    graph, data = fold(small_cnn()), samples(12)
    _, rules = rules_of(graph, fitted(recipe("int4_gptq")))
    heard: list[LayerDone] = []
    store = open_checkpoint(tmp_path / "p", {}, resume=False)
    first = walk(graph, rules, hold(graph, data), report=heard.append, store=store)
    assert [done.index for done in heard] == list(range(1, len(rules) + 1)), "counted from 1"
    assert {done.count for done in heard} == {len(rules)}, "of all"
    assert not any(done.resumed for done in heard), "made now"
    heard.clear()
    again = walk(graph, rules, hold(graph, data), report=heard.append, store=store)
    assert all(done.resumed for done in heard), "all of it was there"
    assert again[1] == first[1], "records are the same"


def _refused(toml: str, data: Any, message: str) -> None:
    rules = parse_recipe(f'scheme = "weight_only"\ncontract = "ort"\n{toml}', name="r")
    with pytest.raises(ValueError, match=message):
        quantize(small_cnn(), rules, data)


GPTQ = '[weights]\nbits = 4\nalgorithm = "gptq"\n'


def test_what_the_issue_names_is_refused_by_name() -> None:
    many = samples(40)
    grouped = f'{GPTQ}granularity = "group"\ngroup_size = 64\n'
    _refused(grouped, many, "node 'fc': group_size divides the 500 inputs of the layer, got 64")
    absent = f'{GPTQ}[[override]]\nnodes = "layer9"\nweights.bits = 8\n'
    _refused(absent, many, "override: no node fits the pattern 'layer9'")
    _refused(GPTQ, None, "calibration data are missing")
    _refused(GPTQ, [], "calibration holds no samples")
    _refused(
        GPTQ, samples(12), "node 'fc', weight 'fc.w': calibration has 12 tokens for 500 inputs"
    )
    spoiled = samples(12)
    spoiled["x"][3, 0, 0, 0] = np.nan
    _refused(GPTQ, spoiled, "input 'x': it is finite")


def test_activations_that_are_not_finite_are_named() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 2))
    h = b.node("Div", [x, b.constant("zero", np.zeros(2, np.float32))], name="h")
    graph = b.graph([b.node("MatMul", [h, b.constant("w", np.eye(2, dtype=np.float32))], name="y")])
    rules = parse_recipe(f'scheme = "weight_only"\ncontract = "ort"\n{GPTQ}', name="r")
    with pytest.raises(ValueError, match=r"calibration, node 'y', input 'h': .* finite"):
        quantize(graph, rules, {"x": np.ones((4, 2), np.float32)})


def test_finite_and_absurd_activations_are_named() -> None:
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", np.eye(2, dtype=np.float32))
    graph = b.graph([b.node("MatMul", [x, w], name="y")])
    rules = parse_recipe(f'scheme = "weight_only"\ncontract = "ort"\n{GPTQ}', name="r")
    data = np.ones((4, 2), np.float32)
    for loud in (2.0**63, -1e30):
        data[1, 1] = loud
        said = rf"node 'y', input 'x': batch must be below 2\^63, .* got {abs(loud):.3g}".replace(
            "+", r"\+"
        )
        with pytest.raises(ValueError, match=said):
            quantize(graph, rules, {"x": data})
    data[1, 1] = np.nextafter(np.float32(2.0**63), np.float32(0))
    assert quantize(graph, rules, {"x": data}).meta["numerics"]["layers"], "the next one below is"
