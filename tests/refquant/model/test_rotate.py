"""A rotated graph computes the same; everything that was done, and was not, is on record."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.frontier import hold
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.quantize_weights import WEIGHTED, has_constant_weight
from refquant.model.recipe import Override, Transforms, parse_recipe, recipe
from refquant.model.rotate import rotate, rotated
from refquant.model.rq import parse_rq, rq_bytes
from tests.refquant.model.rotation_zoo import NEARLY, ZOO, inputs_of, likeness

HOW = ("online", "fused")


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", sorted(ZOO))
def test_the_function_stays(name: str, how: str) -> None:
    graph = ZOO[name]()
    for seed in range(2):
        turned, _ = rotate(graph, how=how, seed=seed)
        assert likeness(graph, turned, seed) >= NEARLY, f"{likeness(graph, turned, seed)} dB"
        assert (turned.inputs, turned.outputs) == (graph.inputs, graph.outputs), "the same ends"
        names = {n.name for n in turned.nodes}
        assert names >= {n.name for n in graph.nodes}, "nodes keep their names"
        assert parse_rq(rq_bytes(turned), name="f") == turned, "it can be written"


@pytest.mark.parametrize("how", HOW)
def test_integers_of_order_four_are_turned_without_rounding(how: str) -> None:
    """Every product, sum and quotient is exact, so the outputs are equal, bit for bit."""
    graph = ZOO["cnn"]()
    turned, records = rotate(graph, how=how, seed=3)
    given = inputs_of(graph)
    a, b = run(graph, given), run(turned, given)
    for name in graph.outputs:
        assert a[name].tolist() == b[name].tolist(), name
    assert {r["kind"] for r in records} == {"online", "skipped"}, "no stream, no attention"


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("name", sorted(ZOO))
def test_the_records_are_complete_and_true(name: str, how: str) -> None:
    graph = ZOO[name]()
    turned, records = rotate(graph, how=how, seed=0)
    linear = [n.name for n in graph.nodes if n.op in WEIGHTED and has_constant_weight(graph, n)]
    told = [node for r in records for node in r["nodes"]]
    assert sorted(n for n in told if n in linear) == sorted(linear), "each layer, once"
    online = sum(n.op == "Hadamard" for n in turned.nodes)
    assert online == sum(r.get("while_running", 0) for r in records), "what stays is counted"
    for r in records:
        keys = {"kind", "name", "size", "block_size", "while_running", "nodes"}
        assert set(r) == ({"kind", "nodes", "reason"} if r["kind"] == "skipped" else keys), r
    kinds = [r["kind"] for r in records]
    if how == "online":
        assert set(kinds) <= {"online", "skipped"}, "nothing is fused"
    else:
        expected = {"llama": (1, 2, 2), "whisper": (1, 2, 3), "bert": (0, 2, 6), "cnn": (0, 0, 3)}
        assert tuple(map(kinds.count, ("R1", "R2", "online"))) == expected[name], f"{kinds}"


def test_fused_costs_less_while_running() -> None:
    counts = {
        name: [sum(n.op == "Hadamard" for n in rotate(make(), how=how, seed=0)[0].nodes)
               for how in HOW]
        for name, make in ZOO.items()
    }  # fmt: skip
    # llama: R4 in front of both downs is all that is left. whisper: the mel, two fc2, and an entry
    # and an exit of the stream.
    assert counts == {"llama": [9, 2], "whisper": [9, 5], "bert": [8, 6], "cnn": [3, 3]}, counts


def test_signs_depend_on_seed_and_name_alone() -> None:
    graph = ZOO["llama"]()
    first, again, other = (rotate(graph, how="fused", seed=s)[0] for s in (0, 0, 1))
    assert rq_bytes(first) == rq_bytes(again), "the same bytes"
    differ = [
        n for n in first.constants
        if first.constants[n].tobytes() != other.constants[n].tobytes()
    ]  # fmt: skip
    assert {"table", "0.o.w", "0.v.w", "0.down.w"} <= set(differ), "another seed, other weights"
    online = rotate(graph, how="online", seed=0)[0]
    name = "0.product/signs"
    assert online.constants[name].tolist() == first.constants[name].tolist(), "R4 is R4"


def test_outliers_disappear_and_the_argument_stays() -> None:
    graph = ZOO["llama"]()
    before = rq_bytes(graph)
    turned, _ = rotate(graph, how="fused", seed=0)
    assert rq_bytes(graph) == before, "the argument is changed"
    given = inputs_of(graph)
    plain, spread = (run(g, given, keep=[n])[n] for g, n in ((graph, "x"), (turned, "x/rotated")))
    for x, limit in ((plain, 15.0), (spread, 6.0)):
        kurtosis = float(
            (x.astype(np.float64) ** 4).mean() / (x.astype(np.float64) ** 2).mean() ** 2
        )
        assert (kurtosis > limit) == (x is plain), f"kurtosis {kurtosis}: one channel of 24 is loud"
    lengths = [np.linalg.norm(x.astype(np.float64), axis=-1) for x in (plain, spread)]
    # 24 terms of relative error 2^-24 each, and the roundings of the rotated table
    assert np.abs(lengths[0] / lengths[1] - 1).max() <= 4 * 2.0**-24, "lengths are kept"


def test_layers_that_stay_float_get_no_rotation_of_their_own() -> None:
    graph = ZOO["llama"]()
    turned, records = rotate(graph, how="online", seed=0, leave=["0.q", "0.down"])
    reasons = {r["nodes"][0]: r["reason"] for r in records if r["kind"] == "skipped"}
    assert reasons == dict.fromkeys(["0.q", "0.down"], "the recipe leaves it in float32"), reasons
    nodes = {n.name: n for n in turned.nodes}
    assert nodes["0.q"].inputs[0] == "0.norm1", "it reads what it read"
    assert nodes["0.k"].inputs[0] == "0.norm1/rotated", "its neighbours do not"
    assert likeness(graph, turned) >= NEARLY, "and all is well"


def test_a_model_without_layers_is_refused() -> None:
    b = Builder("g")
    with pytest.raises(ValueError, match=r"transforms\.rotate: no layer of this model"):
        rotate(b.graph([b.node("Relu", [b.input("x", ("N", 4))])]), how="online", seed=0)
    with pytest.raises(ValueError, match="rotate: unknown value 'both'"):
        rotate(ZOO["cnn"](), how="both", seed=0)


W4A8 = """
scheme = "simulated"
contract = "ort"
[transforms]
rotate = "{how}"
seed = 5
[inputs]
format = "int8"
[weights]
bits = 4
[[override]]
nodes = "head"
exclude = true
"""


def test_the_pipeline_rotates_and_the_card_says_so() -> None:
    graph = ZOO["llama"]()
    made = quantize(graph, parse_recipe(W4A8.format(how="fused"), name="mine"))
    numerics = made.meta["numerics"]
    assert numerics["transforms"]["rotate"] == "fused", "the recipe is on the card"
    assert numerics["transforms"]["seed"] == 5, "and the seed"
    assert numerics["rotations"] == rotate(graph, how="fused", seed=5, leave=["head"])[1], "records"
    ops = [n.op for n in made.nodes]
    assert ops.index("Hadamard") < ops.index("FakeQuantize", ops.index("Hadamard")), "R, then int8"
    down = next(n for n in made.nodes if n.name == "0.down")
    assert down.inputs[0] == "0.product/rotated/rounded", "the rotated values are rounded"
    head = next(n for n in made.nodes if n.name == "head")
    assert made.values[head.inputs[1]].dtype == "float32", "excluded, and yet R1 is in its weight"
    assert quantize(graph, recipe("int4_rtn")).meta["numerics"]["rotations"] == [], "or nothing"


def test_rotation_pays_where_a_channel_is_loud() -> None:
    """QuaRot's claim in small: 4-bit weights and inputs, rounded to nearest."""
    graph = ZOO["llama"]()
    plain = replace(recipe("w4a4"), transforms=None)
    assert plain.weights is not None, "it has"
    plain = replace(plain, weights=replace(plain.weights, algorithm="rtn", gptq=None))
    turned = replace(plain, transforms=Transforms(rotate="fused"))
    before, after = (likeness(graph, quantize(graph, r)) for r in (plain, turned))
    assert after > before, f"{before} -> {after} dB"


@pytest.mark.parametrize("scheme", ["weight_only", "dynamic", "static"])
def test_other_schemes_rotate_too(scheme: str) -> None:
    graph = ZOO["cnn"]()
    more = '[activations]\ndtype = "int8"\n' if scheme == "static" else ""
    text = (
        f'scheme = "{scheme}"\ncontract = "ort"\n[transforms]\nrotate = "online"\n{more}[weights]\n'
    )
    rules = parse_recipe(text, name="r")
    data: Any = inputs_of(graph)
    made = quantize(graph, rules, data if rules.needs_data else None)
    assert sum(n.op == "Hadamard" for n in made.nodes) == 3, [n.op for n in made.nodes]
    assert likeness(graph, made) >= 20, "8 bits"


def test_gptq_walks_over_a_rotated_graph_and_resumes(tmp_path: Any) -> None:
    graph = ZOO["whisper"]()
    rules = replace(recipe("w4a8_rotated"), name="r")
    assert rules.weights is not None, "it has"
    data = {"mel": np.random.default_rng(1).standard_normal((9, 6, 8)).astype(np.float32)}
    assert hold(graph, data).samples == 9, "72 tokens for at most 40 inputs"
    made = quantize(graph, rules, data, checkpoint=tmp_path / "c")
    again = quantize(graph, rules, data, checkpoint=tmp_path / "c", resume=True)
    assert rq_bytes(made) == rq_bytes(again), "the same file"
    other = replace(rules, transforms=Transforms(rotate="fused", seed=1))
    with pytest.raises(ValueError, match=r"differs in recipe\.transforms\.seed \(0 there, 1 now\)"):
        quantize(graph, other, data, checkpoint=tmp_path / "c", resume=True)


def test_rotations_come_before_smoothing_and_overrides_are_looked_at() -> None:
    graph = ZOO["llama"]()
    rules = parse_recipe(W4A8.format(how="online"), name="mine")
    turned, records = rotated(graph, rules)
    assert [r["nodes"] for r in records if r["kind"] == "skipped"] == [["head"]], "excluded"
    assert rotated(turned, replace(rules, transforms=None)) == (turned, []), "nothing is asked"
    assert rules.overrides == (Override("head", exclude=True),), "the recipe of this test"
    plain = parse_recipe('scheme = "float32"\n[transforms]\nrotate = "fused"\n', name="f")
    done: Graph = quantize(graph, plain)
    assert any(n.op == "Hadamard" for n in done.nodes), "float32 may be rotated, to look at"


def test_a_rotation_has_no_integer_form() -> None:
    text = 'scheme = "full_integer"\ncontract = "ort"\n[transforms]\nrotate = "online"\n'
    rules = parse_recipe(f'{text}[activations]\ndtype = "int8"\n[weights]\n', name="r")
    graph = ZOO["cnn"]()
    with pytest.raises(ValueError, match=r"'x/rotated' \(Hadamard\) has no integer form"):
        quantize(graph, rules, inputs_of(graph))
