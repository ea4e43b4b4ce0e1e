"""Where two models part, by hand; and the same numbers as the table of layers."""

import math

import numpy as np
import pytest

from refquant.evaluation.difference import Place
from refquant.evaluation.layers import layer_errors, worst_step
from refquant.evaluation.trace import Trace, below, first_divergence, slowest, trace, worst
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.evaluation.two_models import chain, small_net
from tests.refquant.model.literals import f32, i32

X = {"x": f32([[1, 2], [3, 4]])}
NONE: frozenset[str] = frozenset()


def traced(a: Graph, b: Graph, x: dict[str, np.ndarray] = X) -> Trace:
    return trace((a, b), (x, x), keep=(NONE, NONE), sums="ordered")


def test_the_first_divergence_is_the_first_value_that_differs_at_all() -> None:
    found = traced(chain(2, 1, 1), chain(2, 1.5, 1))
    first = first_divergence(found)
    assert first is not None, "they differ"
    assert (first.value, first.op) == ("h1", "Mul"), f"{first}"
    assert first.difference.first == Place((0, 0), 2, 3), f"{first.difference.first}"
    assert [each.adds for each in found.values] == [0, 0.25, 0], "as the layers say"
    assert [each.value for each in worst(found, 5)] == ["h1"], "nobody else adds"
    low = below(found, 20)
    assert low is first, f"{low}"
    assert below(found, 6) is None, "6.02 dB is above 6"


def test_a_difference_of_one_late_sample_counts() -> None:
    x = np.zeros((300, 2), np.float32)
    x[270, 1] = 1
    first = first_divergence(traced(chain(1, 3), chain(1, 4), {"x": x}))
    assert first is not None, "one element of 600"
    assert first.difference.differing == 1, f"{first.difference}"
    assert first.difference.first == Place((270, 1), 3, 4), f"{first.difference.first}"


def test_a_model_does_not_diverge_from_itself() -> None:
    for name in ("int8_static", "int4_rtn", "int8_dynamic"):
        x = {"x": np.random.default_rng(4).standard_normal((6, 4)).astype(np.float32)}
        small = quantize(small_net(), recipe(name), x)
        found = traced(small, small, x)
        assert len(found.values) >= 2, f"{name}"
        assert first_divergence(found) is None, f"{name}"
        assert worst(found, 5) == [], f"{name}"
        assert below(found, 1000) is None, f"{name}"
        codes = [each.difference.max_code_difference for each in found.values]
        assert set(codes) <= {0, None}, f"{name}: {codes}"


def test_the_numbers_are_those_of_the_table_of_layers() -> None:
    net, x = small_net(), np.random.default_rng(4).standard_normal((260, 4)).astype(np.float32)
    small = quantize(net, recipe("int4_rtn"), {"x": x})
    layers = layer_errors(net, small, [{"x": x}])
    found = traced(net, small, {"x": x})
    assert len(found.values) == len(layers), "the same values"
    for each, layer in zip(found.values, layers, strict=True):
        assert (each.value, each.op, each.adds) == (layer.value, layer.op, layer.adds)
        assert each.difference.errors == layer.errors, each.value
    most = worst_step(layers)
    assert most is not None, "there is noise"
    assert worst(found, 1)[0].value == most.value, f"{most}"


def test_infinite_noise_is_added_once() -> None:
    found = traced(chain(1, 1, 1), chain(math.inf, 1, 1))
    assert [each.adds for each in found.values] == [math.inf, None, None], "and handed on"
    assert all(math.isnan(each.sqnr_db or 0) for each in found.values), "no number"
    low = below(found, -1000)
    assert low is found.values[0], "no number is below any"
    assert [each.value for each in worst(found, 5)] == ["h0"], "infinite is most"


def test_integers_are_compared_and_add_nothing() -> None:
    b = Builder("tokens")
    ids = b.input("ids", ("N",), dtype="int32")
    moved = b.graph([b.node("Reshape", [ids], attributes={"shape": (0, 1)}, name="y")])
    found = traced(moved, moved, {"ids": i32([1, 2])})
    (y,) = found.values
    assert (y.adds, y.sqnr_db, y.difference.max_code_difference) == (None, None, 0), f"{y}"
    assert below(found, 1000) is None, "no sums, no decibels"


@pytest.mark.parametrize("name", ["int8_static", "int8_dynamic", "float32"])
def test_what_is_kept_is_what_the_executor_returns(name: str) -> None:
    net, x = small_net(), np.random.default_rng(4).standard_normal((260, 4)).astype(np.float32)
    small = quantize(net, recipe(name), {"x": x})
    names = frozenset(n for node in small.nodes for n in node.outputs) | {"x"}
    found = trace((net, small), ({"x": x}, {"x": x}), keep=(NONE, names), sums="ordered")
    kept = run(small, {"x": x}, keep=[n for n in names if n != "x"])
    assert found.kept[1].keys() == names, "all of them"
    assert found.kept[1]["x"] is x, "an input is what was given"
    for n in kept:
        assert found.kept[1][n].shape == kept[n].shape, f"{n}"
        assert found.kept[1][n].tobytes() == kept[n].tobytes(), f"{n}"


def test_every_node_has_a_time() -> None:
    found = traced(chain(1, 2), chain(1, 2, 3))
    assert [len(seconds) for seconds in found.seconds] == [2, 3], f"{found.seconds}"
    assert all(s >= 0 for seconds in found.seconds for s in seconds.values()), f"{found.seconds}"
    assert slowest({"a": 1.0, "b": 3.0, "c": 2.0}, 2) == [("b", 3.0), ("c", 2.0)]


def test_progress_is_in_samples() -> None:
    told: list[int] = []
    x = {"x": np.ones((300, 2), np.float32)}
    trace((chain(1), chain(1)), (x, x), keep=(NONE, NONE), sums="ordered", advance=told.append)
    assert sum(told) == 300, f"{told}"
