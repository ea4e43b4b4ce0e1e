"""Layers of two models in JSON and in a table."""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.compare_layers import json_layers, share, words
from refquant.evaluation.difference import Place
from refquant.evaluation.trace import Trace, trace
from refquant.model.graph import Graph
from refquant.model.rq import write_rq
from tests.refquant.evaluation.two_models import chain
from tests.refquant.model.literals import f32

Refquant = Callable[..., Any]
X = {"x": f32([[1, 2], [3, 4]])}
NONE: frozenset[str] = frozenset()


def traced(a: Graph, b: Graph) -> Trace:
    return trace((a, b), (X, X), keep=(NONE, NONE), sums="ordered")


def test_json_has_a_row_a_layer_and_where_to_look() -> None:
    graphs = chain(2, 1, 1), chain(2, 1.5, 1)
    found = json_layers(graphs, traced(*graphs), 20.0)
    json.dumps(found, allow_nan=False)  # no error: strict
    assert found["first_divergence"] == {
        "value": "h1", "op": "Mul", "index": [0, 0], "a": 2.0, "b": 3.0,
    }  # fmt: skip
    assert (found["first_below"], found["threshold_db"], found["worst"]) == ("h1", 20.0, ["h1"])
    assert found["layers"][0] == {
        "value": "h0", "op": "Mul", "elements": 4, "differing": 0, "sqnr_db": None, "cosine": 1.0,
        "max_abs_error": 0.0, "adds": 0.0, "max_code_difference": None, "not_finite": [0, 0],
    }  # fmt: skip
    assert [len(found["slowest"][which]) for which in "ab"] == [3, 3], f"{found['slowest']}"
    node = found["slowest"]["a"][0]
    assert node.keys() == {"node", "op", "seconds"}, f"{node}"
    total = sum(each["seconds"] for each in found["slowest"]["a"])
    assert math.isclose(found["seconds"]["a"], total), "three nodes, and that is all"


def test_what_is_not_finite_is_null() -> None:
    graphs = chain(1, 1), chain(math.inf, 1)
    found = json_layers(graphs, traced(*graphs), 20.0)
    json.dumps(found, allow_nan=False)  # no error: strict
    first, second = found["layers"]
    assert (first["sqnr_db"], first["adds"], first["max_abs_error"]) == (None, None, None)
    assert (first["not_finite"], second["not_finite"]) == ([0, 4], [0, 4]), f"{found}"
    assert found["first_divergence"]["b"] is None, "infinite is no JSON number"
    assert (found["first_below"], found["worst"]) == ("h0", ["h0"]), f"{found}"


def test_a_model_and_itself_in_json() -> None:
    graphs = chain(1, 2), chain(1, 2)
    found = json_layers(graphs, traced(*graphs), 20.0)
    assert (found["first_divergence"], found["first_below"], found["worst"]) == (None, None, [])


@pytest.fixture
def compared(refquant: Refquant, tmp_path: Path) -> Callable[..., str]:
    def compare(a: Graph, b: Graph, *options: str) -> str:
        for name, graph in (("a", a), ("b", b)):
            write_rq(tmp_path / f"{name}.rq", graph)
        np.savez(tmp_path / "d.npz", x=X["x"])
        paths = (tmp_path / name for name in ("a.rq", "b.rq"))
        done = refquant("compare", *paths, "--data", tmp_path / "d.npz", *options)
        assert done.code == 0, done.err
        return str(done.out)

    return compare


def test_the_table_ends_with_where_to_look(compared: Callable[..., str]) -> None:
    out = compared(chain(2, 1, 1), chain(2, 1.5, 1))
    lines = [" ".join(line.split()) for line in out.splitlines()]
    assert "layer output operator differ % SQNR dB cosine max code diff adds %" in lines, out
    assert "2 h1 Mul 100 6.02 1.000000 - 25.000 %" in lines, out
    assert "first divergence: layer 2, h1 (Mul), at [0, 0]: 2 in A, 3 in B" in lines, out
    assert "the first below 20.0 dB: layer 2, h1" in lines, out
    assert "the worst, by what they add: layer 2, h1 25.000 %" in lines, out
    assert out.count("ms of the reference executor: ") == 2, "whose time it is"
    assert "no layer is below 6.0 dB" in compared(chain(2, 1), chain(2, 1.5), "--threshold", "6")


def test_no_divergence_is_said(compared: Callable[..., str]) -> None:
    out = compared(chain(2, 1), chain(2, 1))
    assert "no divergence: all layers are the same, bit for bit" in out, out
    assert "below" not in out, out


def test_a_name_does_not_command_the_terminal(compared: Callable[..., str]) -> None:
    name = "\x1b[31m\u202ered"
    out = compared(chain(2, 1, last=name), chain(3, 1, last=name))
    assert "\x1b" not in out, "escaped"
    assert "\\x1b[31m\\u202ered" in out, out


def test_a_long_name_is_cut_in_tables_and_whole_in_json(compared: Callable[..., str]) -> None:
    name = f"begin{'/fused' * 200}/end"
    out = compared(chain(2, 1, last=name), chain(3, 1, last=name))
    assert max(map(len, out.splitlines()[:-2])) < 400, out
    cut = [line for line in out.splitlines() if "begin/fused" in line[:20]]
    assert len(cut) == 2, "the output and the layer"
    assert "/fused/end (1,209 characters)" in cut[1], cut[1]
    found = json.loads(compared(chain(2, 1, last=name), chain(3, 1, last=name), "--json"))
    assert found["layers"][1]["value"] == name, "scripts get all of it"


def test_shares_are_nothing_or_all_only_if_they_are() -> None:
    assert [share(n, 10**6) for n in (0, 1, 500_000, 999_999, 10**6)] == [
        "0", "0.01", "50.00", "99.99", "100",
    ]  # fmt: skip
    assert share(0, 0) == "0", "of nothing"


def test_numbers_are_told_apart() -> None:
    a, b = np.float32(0.1), np.nextafter(np.float32(0.1), np.float32(1))
    text = words(Place((3, 0), float(a), float(b)))
    assert text == "at [3, 0]: 0.100000001 in A, 0.100000009 in B", text
