"""Changes that are collected: constants that are shared, names that are taken, what is rounded."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.rotate_draft import Draft
from refquant.model.validate import validate


def shared() -> Graph:
    """Two products with one matrix, and a sum."""
    b = Builder("g")
    x, w = b.input("x", ("N", 2)), b.constant("w", np.eye(2, dtype=np.float32))
    a, c = b.node("MatMul", [x, w], name="a"), b.node("MatMul", [x, w], name="c")
    return b.graph([b.node("Add", [a, c], name="y")])


def double(w: np.ndarray) -> np.ndarray:
    return 2 * w


def test_nothing_changes_nothing() -> None:
    graph = shared()
    assert Draft(graph).done() == graph, "an empty draft"


def test_who_shares_a_constant_keeps_it() -> None:
    graph = shared()
    draft = Draft(graph)
    draft.turn(graph.nodes[0], 1, double)
    done = draft.done()
    assert done.nodes[0].inputs == ("x", "w/a"), "a has its own now"
    assert done.constants["w/a"].tolist() == [[2, 0], [0, 2]], "turned"
    assert done.constants["w"].tolist() == [[1, 0], [0, 1]], "c has the old one"
    validate(done)
    draft = Draft(graph)
    for node in graph.nodes[:2]:
        draft.turn(node, 1, double)
    done = draft.done()
    assert set(done.constants) == {"w", "w/a"}, "the last reader may have the name"
    assert done.constants["w"].tolist() == [[2, 0], [0, 2]], "and is turned, too"
    assert graph.constants["w"].tolist() == [[1, 0], [0, 1]], "the argument stays"


def test_turns_come_in_order_and_are_rounded_once() -> None:
    """1 + 2^-24 + 2^-24 is 1 + 2^-23; rounded between the two it would be 1, half to even."""
    graph = shared()
    draft = Draft(graph)
    for _ in range(2):
        draft.turn(graph.nodes[0], 1, partial(np.add, 2.0**-24))
    assert draft.done().constants["w/a"][0, 0] == np.float32(1 + 2.0**-23), "one rounding"
    draft = Draft(graph)
    for turn in (partial(np.add, 2.0**-23), double):
        draft.turn(graph.nodes[0], 1, turn)
    assert draft.done().constants["w/a"][0, 1] == np.float32(2.0**-22), "2 (0 + 2^-23)"


def test_a_constant_that_leaves_float32_is_named() -> None:
    graph = shared()
    draft = Draft(graph)
    draft.turn(graph.nodes[0], 1, lambda w: w * 1e39)
    with pytest.raises(ValueError, match="constant 'w': rotated, it must be finite float32"):
        draft.done()


def test_nodes_behind_a_value_stand_where_they_are_needed() -> None:
    graph = shared()
    draft = Draft(graph)
    for value in ("x", "a"):
        made = draft.value(value, f"{value}/rotated")
        draft.behind(value, "Relu", (value,), made, {})
        twice = draft.value(value, f"{value}/twice")
        draft.behind(made, "Relu", (made,), twice, {})
    draft.read("y", "a", "a/twice")
    draft.read("c", "x", "x/rotated")
    done = draft.done()
    validate(done)
    order = ["x/rotated", "x/twice", "a", "a/rotated", "a/twice", "c", "y"]
    assert [n.name for n in done.nodes] == order, "each directly behind its maker"
    assert done.nodes[5].inputs == ("x/rotated", "w"), "and read by whom it is for"


def test_names_that_are_taken_are_left_alone() -> None:
    graph = shared()
    taken = replace(graph, nodes=(replace(graph.nodes[0], name="x/rotated"), *graph.nodes[1:]))
    draft = Draft(taken)
    assert draft.value("x", "x/rotated") == "x/rotated_", "a node has it"
    assert draft.value("x", "x/rotated") == "x/rotated__", "and now a value, too"
    assert draft.constant("w", np.zeros(1)) == "w_", "constants, too"
    draft = Draft(graph)
    new = draft.value("a", "a/raw")
    draft.write("a", new)
    draft.behind(new, "Relu", (new,), "a", {})  # makes the value a; a node has the name
    done = draft.done()
    assert [n.name for n in done.nodes] == ["a", "a/Relu", "c", "y"], "a node of another name"
    validate(done)
