from dataclasses import replace

import numpy as np
import pytest

from refquant.model.graph import DTYPES, Graph, Node, dependents, has_batch


@pytest.mark.parametrize("name", DTYPES)
def test_a_dtype_holds_its_codes(name: str) -> None:
    dtype = DTYPES[name]
    if name == "float32":
        assert dtype.container == np.float32, "reals are themselves"
        return
    bits = int(name.removeprefix("u").removeprefix("int"))
    assert dtype.bits == bits, "the number in the name"
    assert dtype.qmax - dtype.qmin == 2**bits - 1, "every pattern is a code"
    assert (dtype.qmin == 0) == name.startswith("u"), "u is for unsigned"
    limits = np.iinfo(dtype.container)
    assert limits.min <= dtype.qmin < dtype.qmax <= limits.max, "the container holds all"


def test_graphs_are_equal_when_their_bits_are(graph: Graph) -> None:
    name, array = next(iter(graph.constants.items()))
    same = replace(graph, constants={**graph.constants, name: array.copy()})
    assert same == graph, "equality is by content"
    flipped = array.copy()
    flipped.reshape(-1).view(np.uint8)[0] ^= 1
    for other in (
        replace(graph, constants={**graph.constants, name: flipped}),
        replace(graph, constants={**graph.constants, name: array[None]}),
        replace(graph, constants={**graph.constants, "more": array}),
        replace(graph, name="other"),
        replace(graph, meta={**graph.meta, "more": 1}),
        replace(graph, nodes=graph.nodes[:-1]),
        replace(graph, contracts={}) if graph.contracts else replace(graph, outputs=()),
    ):
        assert other != graph, "and any difference is one"
    assert graph != 1, "a graph is no number"


def test_nan_equals_the_same_nan_and_zeros_differ_by_sign() -> None:
    def graph(value: float) -> Graph:
        constants = {"c": np.array([value], np.float32)}
        return Graph("g", (), (), {}, (), constants, {}, {})

    assert graph(float("nan")) == graph(float("nan")), "bits, not values"
    assert graph(0.0) != graph(-0.0), "bits, not values"


def test_a_graph_has_no_hash(graph: Graph) -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(graph)


def test_dependents_follow_the_nodes(zoo: dict[str, Graph]) -> None:
    graph = zoo["dynamic"]
    reached = dependents(graph.nodes, graph.inputs)
    assert reached == graph.values.keys() - graph.constants.keys(), "all that is computed"
    assert dependents([Node("a", "Relu", ("c",), ("d",))], ["x"]) == {"x"}, "c is no input"


def test_a_batch_is_an_n_in_front(zoo: dict[str, Graph]) -> None:
    assert has_batch(zoo["dynamic"]), "its input is (N, 4)"
    assert not has_batch(zoo["weight_only"]), "its input is (2, 5)"
