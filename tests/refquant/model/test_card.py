"""The card says all that the numbers depend on, and nothing else: no time, no machine."""

import json

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.card import execution, job, versions
from refquant.model.frontier import hold
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe, recipe, recipe_names
from refquant.model.rq_json import dumps, loads
from tests.refquant.model.small_cnn import fitted, samples, small_cnn

FAST = [n for n in recipe_names() if n not in ("float32", "int3_gptq")]


@pytest.mark.parametrize("name", FAST)
def test_every_recipe_makes_a_card(name: str) -> None:
    rules = fitted(recipe(name))
    q = quantize(small_cnn(), rules, samples(4))
    card = q.meta["numerics"]
    assert loads(dumps(card)) == json.loads(json.dumps(card)), "strict JSON"
    assert (card["scheme"], card["recipe"]) == (rules.scheme, name), card
    assert card["contracts"].keys() == q.contracts.keys(), "the contracts of the file"
    for axes in card["contracts"].values():
        assert axes.keys() == preset("ort").to_json().keys(), "every axis"
    assert card["weights"] == rules.to_json()["weights"], "with every default"
    assert (card["calibration"] is not None) == rules.needs_data, card["calibration"]
    assert sum(card["execution"].values()) == len(q.nodes), card["execution"]
    assert len(card["layers"]) in (0, 6), "a record of each product and convolution"


def test_settings_of_the_algorithm_are_there() -> None:
    rules = fitted(recipe("int4_gptq"))
    card = quantize(small_cnn(), rules, samples(4)).meta["numerics"]
    assert card["weights"]["gptq"]["act_order"] is True, card["weights"]
    assert card["weights"]["gptq"]["block_size"] == 128, "a default, written out"
    layer = next(r for r in card["layers"] if r["node"] == "fc")
    assert (layer["algorithm"], layer["dtype"], layer["tokens"]) == ("gptq", "uint4", 4), layer
    assert card["overrides"][0]["weights"]["gptq"] == {"few_tokens": True}, card["overrides"]


def test_where_nodes_compute() -> None:
    counts = {
        name: execution(quantize(small_cnn(), fitted(recipe(name)), samples(4)))
        for name in ("float32", "int4_rtn", "int8_static", "int8_dynamic")
    }
    assert counts["float32"]["codes"] == counts["float32"]["decoded"] == 0, counts["float32"]
    assert counts["int4_rtn"]["codes"] == 0, counts["int4_rtn"]
    assert counts["int4_rtn"]["decoded"] == 6, "weights are decoded, sums are float32"
    assert counts["int8_static"]["decoded"] == counts["int8_static"]["float32"] == 0, "codes only"
    assert counts["int8_dynamic"]["codes"] >= 6, counts["int8_dynamic"]


def test_numpy_is_named_where_it_has_a_say() -> None:
    for name, named in (("w8a8_tflite", False), ("int4_gptq", False), ("int4_hqq", True),
                        ("int4_awq", True), ("w8a8_smoothquant", True)):  # fmt: skip
        card = quantize(small_cnn(), fitted(recipe(name)), samples(4)).meta["numerics"]
        assert ("numpy" in card["versions"]) == named, f"{name}: {card['versions']}"
    text = 'scheme = "weight_only"\ncontract = "ort"\nsums = "blas"\n[weights]\nbits = 8\n'
    card = quantize(small_cnn(), parse_recipe(text, name="r")).meta["numerics"]
    assert "numpy" in card["versions"], "BLAS is not in one order"
    assert versions(numpy=True)["numpy"] == np.__version__, "the one that runs"


def test_a_job_is_model_recipe_data_and_versions() -> None:
    b = Builder("g")
    graph = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    held = hold(graph, {"x": np.zeros((3, 2), np.float32)})
    found = job("ab", recipe("int4_gptq"), held)
    assert found["calibration"] == dict(held.sha256), "each input's bytes"
    assert found["recipe"]["weights"]["bits"] == 4, "the whole recipe"
    assert "numpy" in found["versions"], "a run goes on where it began"
