"""``inspect`` lists the nodes that compute with float32 in a plan on codes, with the reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.inspect_floats import describe_floats, print_floats
from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.quantize import quantize
from refquant.model.recipe import parse_recipe, recipe

Refquant = Callable[..., Any]
EXCLUDED = """
scheme = "static"
contract = "ort"
[activations]
dtype = "uint8"
symmetric = false
observer = "minmax"
[weights]
bits = 8
symmetric = true
granularity = "per_channel"
[[override]]
nodes = "second"
exclude = true
"""


def graph() -> Graph:
    b = Builder("g")
    w = b.constant("w", np.eye(4, dtype=np.float32))
    first = b.node("MatMul", [b.input("x", ("N", 4)), w], name="first")
    shaped = b.node("Reshape", [first], name="shaped", attributes={"shape": (0, 4)})
    v = b.constant("v", np.eye(4, dtype=np.float32))
    return b.graph([b.node("MatMul", [shaped, v], name="second")])


def test_a_layer_that_was_left_out_is_listed() -> None:
    made = quantize(
        graph(), parse_recipe(EXCLUDED, name="mixed"), {"x": np.eye(4, dtype=np.float32)}
    )
    assert describe_floats(made) == [
        {"node": "second", "op": "MatMul", "reason": "what it reads is float32"}
    ], "the other is on codes, and movement is no computing"


def test_dynamic_plans_list_what_is_between_the_products() -> None:
    b = Builder("g")
    w = b.constant("w", np.eye(4, dtype=np.float32))
    first = b.node("MatMul", [b.input("x", ("N", 4)), w], name="first")
    made = quantize(b.graph([b.node("Relu", [first], name="bent")]), recipe("w8a8_dynamic"))
    assert [one["node"] for one in describe_floats(made)] == ["bent"], describe_floats(made)


@pytest.mark.parametrize("name", ["float32", "w8_weight_only"])
def test_plans_without_codes_have_no_fallback(name: str) -> None:
    assert describe_floats(quantize(graph(), recipe(name))) == [], "every node is of one kind"


def test_what_the_importer_said_is_the_reason() -> None:
    made = quantize(
        graph(), parse_recipe(EXCLUDED, name="mixed"), {"x": np.eye(4, dtype=np.float32)}
    )
    why = "MatMul 'second' needs reals: its output has no QuantizeLinear"
    for unfused, said in (
        ([{"node": "dq", "op": "DequantizeLinear", "reason": why}], why),
        ("nonsense", "what it reads is float32"),
        ([{"reason": "no quotes"}, 3], "what it reads is float32"),
    ):
        made.meta["import"] = {"unfused": unfused}  # type: ignore[index]  # meta is a dict here
        assert describe_floats(made)[0]["reason"] == said, f"{unfused}"


def test_inspect_prints_them(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    out = tmp_path / "q.rq"
    done = refquant("quantize", model, "--scheme", "w8a8_dynamic", "-o", out)
    assert done.code == 0, done.err
    found = json.loads(refquant("inspect", out, "--json").out)["float_fallbacks"]
    text = refquant("inspect", out).out
    if found:
        assert f"{len(found)} nodes compute with float32 in a plan on codes" in text, text
    assert ("in a plan on codes" in text) == bool(found), text


def test_many_are_cut_short(capsys: pytest.CaptureFixture[str]) -> None:
    print_floats([{"node": f"n{i}", "op": "Relu", "reason": "why"} for i in range(13)])
    text = capsys.readouterr().out
    assert "13 nodes" in text, text
    assert "n9 and 3 more" in text.replace("\n", " "), text
