"""Bias correction of a model: means agree afterwards, exactly where all is linear."""

from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.correct_bias import correct_empirical, corrected, rounded_weights
from refquant.model.execute import run
from refquant.model.fold import fold
from refquant.model.frontier import hold
from refquant.model.graph import Graph
from refquant.model.metrics import sqnr_db
from refquant.model.quantize import quantize
from refquant.model.quantize_rules import rules_of
from refquant.model.recipe import Recipe, parse_recipe, recipe
from refquant.model.rq import rq_bytes
from tests.refquant.model.literals import f32
from tests.refquant.model.small_cnn import samples, small_cnn
from tests.refquant.model.small_gru import small_gru, words

ROUNDED = 'scheme = "weight_only"\ncontract = "ort"\n[weights]\nbits = 3\n'
EMPIRICAL = ROUNDED.replace("[weights]", '[transforms]\nbias_correction = "empirical"\n[weights]')


def rules(text: str) -> Recipe:
    return parse_recipe(text, name="r")


def linear() -> Graph:
    """Three layers, nothing between: with a bias, with none, with an Add behind."""
    rng = np.random.default_rng(2)
    b = Builder("linear")

    def constant(name: str, *shape: int) -> str:
        return b.constant(name, rng.standard_normal(shape).astype(np.float32))

    h = b.node("Gemm", [b.input("x", ("N", 8)), constant("w1", 8, 6), constant("b1", 6)], name="a")
    h = b.node("Gemm", [h, constant("w2", 5, 6)], name="b", attributes={"transB": 1})
    h = b.node("MatMul", [h, constant("w3", 5, 4)], name="c")
    h = b.node("Add", [constant("b3", 4), h], name="c.bias")
    return b.graph([b.node("MatMul", [h, constant("w4", 4, 3)], name="d")])


def means(graph: Graph, data: Any, names: list[str]) -> dict[str, Any]:
    out = run(graph, data, keep=names)
    return {n: out[n].astype(float).mean(axis=0) for n in names}


def test_means_of_a_linear_model_are_the_float_models() -> None:
    """The witness, on data with a mean: without correction each layer is off by a constant."""
    graph = linear()
    data = {"x": np.random.default_rng(1).standard_normal((200, 8)).astype(np.float32) + 2}
    kept = ["a", "b", "c.bias"]
    exact = means(graph, data, kept)
    plain = means(quantize(graph, rules(ROUNDED)), data, kept)
    done = quantize(graph, rules(EMPIRICAL), data)
    fixed = means(done, data, kept)
    for name in kept:
        # The new bias is rounded once, outputs are float32: a few ulps of numbers below 64.
        bound = 64 * 2.0**-22
        assert np.abs(fixed[name] - exact[name]).max() < bound, f"{name}: {fixed[name]}"
        assert np.abs(plain[name] - exact[name]).max() > 0.05, f"{name} was off before"
    record = done.meta["numerics"]["bias_correction"]
    assert list(record["corrected"]) == ["a", "b", "c"], record
    assert record["left"] == ["d"], "a product without a bias keeps its shift, and is listed"
    assert record["kind"] == "empirical", record


def test_the_shift_is_that_of_fractions() -> None:
    """Eq. (1) of one layer: small integers, so that every float sum is exact."""
    rng = np.random.default_rng(3)
    x, w, other = (rng.integers(-4, 5, s).astype(np.float32) for s in ((8, 5), (5, 3), (5, 3)))
    b = Builder("g")
    y = b.node("Gemm", [b.input("x", ("N", 5)), b.constant("w", w)], name="y")
    graph = b.graph([y])
    done, _ = correct_empirical(graph, {"y": other}, hold(graph, {"x": x}), sums="ordered")
    for j in range(3):
        off = sum(
            (Fraction(float(other[i, j])) - Fraction(float(w[i, j]))) * Fraction(float(row[i]))
            for row in x
            for i in range(5)
        )
        assert Fraction(float(done.constants["y.bias"][j])) == -off / 8, f"column {j}"


def test_a_layer_without_a_bias_gets_one_where_its_form_has_one() -> None:
    graph = linear()
    data = {"x": np.ones((4, 8), np.float32)}
    done = quantize(graph, rules(EMPIRICAL), data)
    by_name = {n.name: n for n in done.nodes}
    assert by_name["b"].inputs[2] == "b.bias", "Gemm's third input"
    assert by_name["a"].inputs[2] == "b1", "a bias keeps its name"
    assert by_name["c.bias"].inputs == ("b3", "c"), "the Add's constant"
    assert len(by_name["d"].inputs) == 2, "no node is added"


def test_a_bias_of_two_layers_becomes_two() -> None:
    b = Builder("g")
    x, bias = b.input("x", ("N", 2)), b.constant("bias", f32([1, 1]))
    w = b.constant("w", f32([[1.25, 0], [0, 1]]))
    h = b.node("Gemm", [x, w, bias], name="a")
    graph = b.graph([b.node("Gemm", [h, w, bias], name="b")])
    held = hold(graph, {"x": f32([[1, 1]])})
    codes = {name: f32([[1, 0], [0, 1]]) for name in "ab"}
    done, _ = correct_empirical(graph, codes, held, sums="ordered")
    assert [n.inputs[2] for n in done.nodes] == ["a.bias", "b.bias"], done.nodes
    assert done.constants["bias"].tolist() == [1.0, 1.0], "the common one stays as it was"
    # a: 1.25 + 1 = 2.25 for 1 + b', b: 2.25 * 1.25 + 1 = 3.8125 for 2.25 + b'
    assert done.constants["a.bias"].tolist() == [1.25, 1.0], "layer by layer"
    assert done.constants["b.bias"].tolist() == [1.5625, 1.0], "on what the corrected a gives"


@pytest.mark.parametrize("name", ["int8_static", "int8_dynamic", "w8a8_static_per_tensor"])
def test_schemes_on_codes_correct_too(name: str) -> None:
    graph, data = small_cnn(softmax=False), samples(60)
    own = recipe(name)
    told = replace(own, transforms=rules(EMPIRICAL).transforms)
    told = replace(told, weights=replace(own.weights, bits=4) if "static" in name else own.weights)  # type: ignore[type-var]  # it has weights
    plain = replace(told, transforms=None)
    exact = run(quantize(graph, recipe("float32")), data)
    (out,) = graph.outputs
    off = {}
    for label, how in (("plain", plain), ("corrected", told)):
        got = run(quantize(graph, how, data), data)[out].astype(float)
        off[label] = np.abs((got - exact[out]).mean(axis=0)).max()
    limit = 0.5 if "static" in name else 1.0  # activations are rounded as well
    assert off["corrected"] < limit * off["plain"], f"{name}: {off}"


def test_ranges_are_those_of_the_float_model() -> None:
    """Corrected biases with float weights would shift every range; codes undo that shift."""
    graph, data = small_cnn(softmax=False), samples(40)
    told = replace(recipe("int8_static"), transforms=rules(EMPIRICAL).transforms)
    plain, fixed = quantize(graph, recipe("int8_static"), data), quantize(graph, told, data)
    for node in plain.nodes:
        for name in node.outputs:
            quants = [g.values[name].quant for g in (plain, fixed)]
            assert quants[0] == quants[1], f"{name}: another ruler"


def test_the_demo_network_loses_less() -> None:
    graph, data = small_cnn(softmax=False), samples(60)
    exact = run(fold(graph), data)[graph.outputs[0]]
    db = [
        sqnr_db(exact, run(quantize(graph, rules(text), data), data)[graph.outputs[0]])
        for text in (ROUNDED, EMPIRICAL)
    ]
    assert db[1] > db[0] + 1, f"{db}"


def test_recurrent_layers_and_tables_are_listed() -> None:
    done = quantize(small_gru(), rules(EMPIRICAL), words(20))
    record = done.meta["numerics"]["bias_correction"]
    assert record["left"] == ["embedding", "rnn", "rnn[2]", "logits"], record
    assert list(record["corrected"]) == ["up"], record


def test_the_same_bytes_however_the_data_come() -> None:
    graph, data = small_cnn(), samples(48)
    whole = rq_bytes(quantize(graph, rules(EMPIRICAL), data))
    parts = [{"x": data["x"][i : i + 16]} for i in range(0, 48, 16)]
    assert rq_bytes(quantize(graph, rules(EMPIRICAL), iter(parts))) == whole, "cut elsewhere"


def test_without_a_word_of_it_nothing_is_looked_at() -> None:
    graph = small_cnn()
    assert corrected(graph, graph, {}, rules(ROUNDED), None) == (graph, {}), "as it was"
    assert not rules(ROUNDED).needs_data, "and no data are asked for"
    assert rules(EMPIRICAL).needs_data, "its means are of data"
    with pytest.raises(ValueError, match="calibration data are missing"):
        quantize(graph, rules(EMPIRICAL))


def test_rounded_weights_are_what_the_file_has() -> None:
    graph = fold(small_cnn())
    _, own = rules_of(graph, rules(ROUNDED))
    found = rounded_weights(graph, own, contract=preset("ort"))
    done = quantize(small_cnn(), rules(ROUNDED))
    x = samples(3)
    nodes = {n.name: n for n in graph.nodes}
    swapped = {nodes[name].inputs[1]: w for name, w in found.items()}
    expected = run(replace(graph, constants={**graph.constants, **swapped}), x)
    got = run(done, x)
    assert all(got[n].tobytes() == expected[n].tobytes() for n in graph.outputs), "other codes"


def test_outputs_that_are_not_finite_are_named() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 1))
    h = b.node("Div", [x, b.constant("zero", f32([0]))], name="h")
    graph = b.graph([b.node("Gemm", [h, b.constant("w", f32([[1]]))], name="y")])
    held = hold(graph, {"x": f32([[1]])})
    with pytest.raises(ValueError, match="node 'y': its outputs are not finite; look at the data"):
        correct_empirical(graph, {"y": f32([[1]])}, held, sums="ordered")
