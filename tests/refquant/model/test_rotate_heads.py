"""R2: the values of heads; parts of a product, shared heads, and what does not pass."""

from typing import Any

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.rotate import rotate
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_heads import rotate_heads
from tests.refquant.model.rotation_zoo import NEARLY, Maker, likeness

HEADS: dict[str, Any] = {"q_num_heads": 4, "kv_num_heads": 2}


def attention(kind: str, size: int = 8) -> Graph:
    """4 heads of queries, 2 of keys and values, of ``size``; v is made as ``kind`` says."""
    b = Maker("g")
    x = b.input("x", ("N", "T", 16))
    q, k = b.linear(x, 4 * size, "q"), b.linear(x, 2 * size, "k")
    outputs = []
    wide = 2 * size
    if kind in ("part", "overlap"):
        kv = b.linear(x, 2 * wide, "kv")
        cut = {"starts": [wide], "ends": [2**31], "axes": [-1]}
        v = b.node("Slice", [kv], attributes=cut, name="v")
        end = wide if kind == "part" else wide + 1
        rest = {"starts": [-2 * wide], "ends": [end], "axes": [2]}
        outputs.append(b.node("Slice", [kv], attributes=rest, name="rest"))
    else:
        v = b.linear(x, wide, "v", bias=kind != "no bias")
    if kind == "tanh":
        v = b.node("Tanh", [v], name="tanh")
    if kind == "read":
        outputs.append(b.node("Relu", [v], name="relu"))
    if kind == "output":
        outputs.append(v)
    keys = v if kind == "keys" else k
    a = b.node("Attention", [q, keys, v], attributes=HEADS, name="attention")
    y = b.node("Relu", [a], name="between") if kind == "between" else a
    return b.graph([b.linear(y, 5, "o"), *outputs])


@pytest.mark.parametrize("kind", ["plain", "no bias", "part"])
@pytest.mark.parametrize("size", [8, 12, 6])
def test_values_are_turned_head_by_head(kind: str, size: int) -> None:
    """Heads of 6 in blocks of 2; of a product of more, the part that is v."""
    graph = attention(kind, size)
    turned, records = rotate(graph, how="fused", seed=0)
    record = next(r for r in records if r["kind"] == "R2")
    assert (record["size"], record["block_size"]) == (size, 2 if size == 6 else size), record
    assert record["nodes"] == ["o/product"], record
    assert likeness(graph, turned) >= NEARLY, f"{likeness(graph, turned)} dB"
    assert sum(n.op == "Hadamard" for n in turned.nodes) == 1, "x, for q, k and v: o needs none"
    assert "v/rotated" in turned.values, "what is turned has another name"
    assert "v" not in turned.values, "and the old one is gone"


@pytest.mark.parametrize("kind", ["tanh", "read", "output", "keys", "between", "overlap"])
def test_what_does_not_pass_is_rotated_while_running(kind: str) -> None:
    graph = attention(kind)
    draft = Draft(graph)
    rotate_heads(draft, seed=0)
    assert draft.records == [], f"{kind}: {draft.records}"
    assert draft.done() == graph, "nothing is changed"
    turned, records = rotate(graph, how="fused", seed=0)
    online = [node for r in records if r["kind"] == "online" for node in r["nodes"]]
    assert "o/product" in online, "by a rotation in front of o"
    assert likeness(graph, turned) >= NEARLY, f"{kind}: {likeness(graph, turned)} dB"


def test_heads_that_are_an_axis_are_left() -> None:
    b = Maker("g")
    x = b.input("x", ("N", 2, "T", 8))
    v = b.linear(x, 8, "v")
    a = b.node("Attention", [x, x, v], name="attention")
    graph = b.graph([b.linear(a, 5, "o")])
    turned, records = rotate(graph, how="fused", seed=0)
    assert [r["kind"] for r in records] == ["online", "online"], records
    assert likeness(graph, turned) >= NEARLY, "in front of v and o"


def test_odd_heads_are_left() -> None:
    turned, records = rotate(attention("plain", 5), how="fused", seed=0)
    online = [r for r in records if r["kind"] == "online" and r["nodes"] == ["o/product"]]
    assert [(r["size"], r["block_size"]) for r in online] == [(20, 20)], "4 heads of 5 together"
    assert likeness(attention("plain", 5), turned) >= NEARLY, "and all is well"


def test_the_part_that_is_not_v_stays() -> None:
    graph = attention("part")
    turned, _ = rotate(graph, how="fused", seed=0)
    bias, old = turned.constants["kv.b"], graph.constants["kv.b"]
    assert bias[:16].tobytes() == old[:16].tobytes(), "keys are as they were"
    assert not np.isin(bias[16:], old[16:]).any(), "values are turned"
