"""How many tokens a layer will get, beside what the walk really hands out."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.enough_tokens import check_enough_tokens, tokens_seen
from refquant.model.frontier import Frontier, Held, hold
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe
from refquant.model.recipe_algorithms import Gptq
from refquant.model.recipe_rules import Weights
from refquant.model.weight_matrix import tokens_of
from tests.refquant.model.small_cnn import samples, small_cnn
from tests.refquant.model.small_gru import small_gru


def sequences() -> Graph:
    """Lengths of several kinds: a row a token, a row a sample, a Gemm turned."""
    b = Builder("sequences")
    x = b.input("x", ("N", "T", 6))
    h = b.node("MatMul", [x, b.constant("w", np.ones((6, 4), np.float32))], name="each")
    one = b.node("ReduceSum", [h], attributes={"axes": [1], "keepdims": 0}, name="one")
    w = b.constant("v", np.ones((3, 4), np.float32))
    return b.graph([b.node("Gemm", [one, w], attributes={"transB": 1}, name="whole")])


def test_it_is_what_the_walk_hands_out() -> None:
    rng = np.random.default_rng(0)
    parts = [{"x": rng.normal(size=(n, t, 6)).astype(np.float32)} for n, t in ((3, 5), (40, 2))]
    for graph, data in ((sequences(), parts), (small_cnn(), samples(40))):
        held: Held = hold(graph, data)
        nodes = [n for n in graph.nodes if n.op in ("Conv", "Gemm", "MatMul")]
        walk = Frontier(graph, held, [n.name for n in nodes], "ordered")
        for node in nodes:
            shape = graph.constants[node.inputs[1]].shape
            if node.attributes.get("group", 1) != 1:
                continue
            seen = sum(len(tokens_of(node, x, shape)) for x in walk.inputs(node))
            assert tokens_seen(graph, node, held) == seen, f"{node.name}: {seen}"


def test_a_recurrent_layer_is_left_to_the_walk() -> None:
    graph = small_gru()
    gru = next(n for n in graph.nodes if n.op == "GRU")
    assert tokens_seen(graph, gru, Held((), 0, {})) is None, "no row of its own"


def test_it_is_refused_before_anything_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    def advance(*_: Any) -> None:
        raise AssertionError("the walk has begun")

    monkeypatch.setattr(Frontier, "_advance", advance)
    rules = 'scheme = "weight_only"\ncontract = "ort"\n[weights]\nalgorithm = "gptq"\nbits = 4\n'
    data = {"x": np.ones((1, 3, 6), np.float32)}
    said = (
        r"node 'each', weight 'w': calibration has 3 tokens for 6 inputs \(and too few for 1 more "
        r"layers\): .* few_tokens = true"
    )
    with pytest.raises(ValueError, match=said):
        quantize(sequences(), parse_recipe(rules, name="r"), data)


def needed(graph: Graph, rules: Mapping[str, Weights], count: int) -> str | None:
    """Return why ``count`` samples of 2 tokens are refused."""
    held = hold(graph, {"x": np.ones((count, 2, 6), np.float32)})
    try:
        check_enough_tokens(graph, rules, held, rules)
    except ValueError as error:
        return str(error)
    return None


def test_as_many_as_inputs_are_enough() -> None:
    graph, fitted = sequences(), Weights(bits=4, algorithm="gptq")
    assert needed(graph, {"each": fitted}, 3) is None, "6 tokens, 6 inputs"
    assert "4 tokens for 6 inputs: fewer" in str(needed(graph, {"each": fitted}, 2)), "alone"
    assert needed(graph, {"whole": fitted}, 4) is None, "a token a sample, of either length"
    assert "3 tokens for 4 inputs" in str(needed(graph, {"whole": fitted}, 3)), "a row a sample"
    both = needed(graph, {"each": fitted, "whole": fitted}, 1)
    assert both is not None, "both lack"
    assert both.startswith("node 'each', weight 'w': calibration has 2 tokens for 6"), both


def test_who_does_not_mind_is_not_asked() -> None:
    graph = sequences()
    few = Weights(bits=4, algorithm="gptq", gptq=Gptq(few_tokens=True))
    assert needed(graph, {"each": few, "whole": few}, 1) is None, "it was asked for"
    assert needed(graph, {"each": Weights(bits=4)}, 1) is None, "rounding needs none"
    assert needed(graph, {"each": Weights(bits=4, algorithm="awq")}, 1) is None, "means do"
