"""Where biases are: the constant of an Add behind a product, a third input, or nowhere."""

import numpy as np

from refquant.model.bias_sites import place_of, rebuilt, record_of, sites_of
from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.validate import validate
from tests.refquant.model.literals import f32


def network() -> Graph:
    """Products with all kinds of things behind them."""
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", f32([[1, 2], [3, 4]]))
    vector, scalar = b.constant("v", f32([1, 2])), b.constant("s", f32(3.0))
    names = {}
    for name, other in (("plain", "v"), ("turned", "v"), ("scalar", "s"), ("computed", "x")):
        h = b.node("MatMul", [x, w], name=name)
        operands = [other, h] if name == "turned" else [h, other]
        names[name] = b.node("Add", operands, name=f"{name}.add")
    twice = b.node("MatMul", [x, w], name="twice")
    more = [b.node("Add", [twice, vector], name="twice.add"), b.node("Relu", [twice], name="r")]
    gemm = b.node("Gemm", [x, w], name="gemm")
    assert scalar == "s", "it is there"
    return b.graph([*names.values(), *more, gemm])


def test_an_add_of_a_vector_that_alone_reads_the_product_is_its_bias() -> None:
    graph = network()
    weights = {n.name: np.zeros((2, 2), np.float32) for n in graph.nodes}
    sites, left = sites_of(graph, weights)
    assert sorted(sites) == ["gemm", "plain", "turned"], f"{sorted(sites)}"
    assert left == ["scalar", "computed", "twice"], "no bias: a number, a value, another reader"
    assert [place_of(sites[n]) for n in ("plain", "turned", "gemm")] == [1, 0, 2], "which input"


def test_a_product_that_is_an_output_has_no_bias() -> None:
    b = Builder("g")
    h = b.node("MatMul", [b.input("x", ("N", 1)), b.constant("w", f32([[1]]))], name="h")
    graph = b.graph([h, b.node("Add", [h, b.constant("v", f32([1]))], name="y")])
    assert sites_of(graph, {"h": f32([[1]])}) == ({}, ["h"]), "somebody sees it without"


def test_new_biases_are_constants_of_their_own_with_free_names() -> None:
    graph = network()
    sites, left = sites_of(graph, {n: f32([[1]]) for n in ("plain", "turned", "gemm")})
    new = {name: f32([i, i]) for i, name in enumerate(sites)}
    done = rebuilt(graph, sites, new)
    validate(done)
    by_name = {node.name: node for node in done.nodes}
    assert by_name["plain.add"].inputs == ("plain", "plain.bias"), "v has other readers"
    assert by_name["turned.add"].inputs == ("turned.bias", "turned"), "on its side"
    assert by_name["gemm"].inputs == ("x", "w", "gemm.bias"), "a third input"
    assert done.constants["v"].tolist() == [1.0, 2.0], "the others' stays"
    record = record_of(graph, "empirical", sites, new, left)
    assert list(record["corrected"].values()) == [2.0, 1.0, 2.0], f"{record}"


def test_a_name_that_is_taken_is_not_taken_again() -> None:
    b = Builder("g")
    x = b.input("x", ("N", 1))
    h = b.node("Relu", [x], name="y.bias")
    graph = b.graph([b.node("Gemm", [h, b.constant("w", f32([[1]]))], name="y")])
    sites, _ = sites_of(graph, {"y": f32([[1]])})
    done = rebuilt(graph, sites, {"y": f32([5])})
    assert done.nodes[-1].inputs[2] == "y.bias_", "the model has such a name already"
