"""The executor in chunks is the executor, and somebody is told how far it is."""

import numpy as np
import pytest

from refquant.cli import reference
from refquant.cli.reference import execute, execute_all
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph


def dynamic() -> Graph:
    b = Builder("g")
    codes, scale, zero = b.node_with(
        "DynamicQuantizeLinear", [b.input("x", ("N", 2))], ["q", "s", "z"], name="quantize",
        contract=preset("ort"),
    )  # fmt: skip
    y = b.node("Relu", ["x"], name="y")
    assert (scale, zero) == ("s", "z"), "kept by these names"
    return b.graph([y, codes])


@pytest.mark.parametrize("samples", [1, 3, 4, 7])
def test_chunks_change_nothing(samples: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CHUNK", 3)
    x = np.random.default_rng(0).standard_normal((samples, 2)).astype(np.float32)
    done: list[int] = []
    got = execute(dynamic(), {"x": x}, done.append, keep=["s", "z"])
    expected = run(dynamic(), {"x": x}, keep=["s", "z"])
    assert got.keys() == expected.keys() == {"y", "q", "s", "z"}, f"{got.keys()}"
    for name, array in expected.items():
        assert got[name].shape == array.shape, f"{name}: {got[name].shape}"
        assert got[name].tobytes() == array.tobytes(), f"{name} differs"
    assert sum(done) == samples, f"told of {done}"
    assert max(done) <= 3, f"told late: {done}"


def test_a_graph_without_a_batch_runs_once() -> None:
    b = Builder("g")
    g = b.graph([b.node("Relu", [b.input("x", (2,))], name="y")])
    done: list[int] = []
    got = execute(g, {"x": np.array([-1, 2], np.float32)}, done.append)
    assert got["y"].tolist() == [0.0, 2.0], f"{got}"
    assert done == [1], f"told of {done}"


def test_a_value_that_depends_on_no_sample_is_given_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CHUNK", 1)
    b = Builder("g")
    w = b.constant("w", np.array([-1, 2], np.float32))
    c = b.node("Relu", [w], name="c")
    g = b.graph([b.node("Add", [b.input("x", ("N", 2)), c], name="y")])
    got = execute(g, {"x": np.zeros((3, 2), np.float32)}, lambda count: None, keep=["c"])
    assert got["c"].tolist() == [0.0, 2.0], f"{got['c']}"
    assert got["y"].shape == (3, 2), f"{got['y'].shape}"


def test_all_graphs_at_once_are_each_graph_by_itself() -> None:
    x = {"x": np.random.default_rng(0).standard_normal((9, 2)).astype(np.float32)}
    names = ("a", "b", "c")
    done: list[int] = []
    got = execute_all(dict.fromkeys(names, dynamic()), dict.fromkeys(names, x), done.append)
    assert tuple(got) == names, f"the order of the graphs: {tuple(got)}"
    expected = run(dynamic(), x)
    for name in names:
        assert got[name]["q"].tobytes() == expected["q"].tobytes(), f"{name} differs"
    assert sum(done) == 27, f"told of {done}"


def test_an_error_in_one_graph_stops_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reference, "CHUNK", 1)
    x = {"x": np.zeros((50, 2), np.float32)}
    graphs = dict.fromkeys(map(str, range(20)), dynamic())
    done: list[int] = []
    with pytest.raises(ValueError, match="inputs must be exactly"):
        execute_all(graphs, dict.fromkeys(graphs, x) | {"0": x | {"z": x["x"]}}, done.append)
    assert sum(done) < 20 * 50, "the others went on to their end"
