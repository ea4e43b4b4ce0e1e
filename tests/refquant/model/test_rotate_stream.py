"""R1: passes where it pays and is right; anything else is left, with its reason."""

from collections.abc import Callable

import numpy as np
import pytest

from refquant.model.graph import Graph
from refquant.model.rotate import rotate
from refquant.model.rotate_draft import Draft
from refquant.model.rotate_stream import passing_norms, rotate_streams
from tests.refquant.model.rotation_zoo import NEARLY, Maker, bert, likeness, llama, whisper


def small(op: str = "RMSNormalization", second: str = "", size: int = 8, quirk: str = "") -> Graph:
    """Three norms on one stream; ``quirk`` is what somebody does with the second value."""
    b = Maker("g")
    x = b.linear(b.input("i", ("N", 4)), size, "x")
    outputs = []
    for j, kind in enumerate((op, second or op, op)):
        x = b.node("Add", [x, b.linear(b.norm(kind, x, f"n{j}"), size, f"y{j}")], name=f"x{j}")
        if j == 1 and quirk == "output":
            outputs.append(x)
        if j == 1 and quirk == "relu":
            outputs.append(b.node("Relu", [x], name="relu"))
        if j == 1 and quirk == "layer":
            outputs.append(b.linear(x, 3, "layer"))
        if j == 1 and quirk == "through":
            x = b.node("Add", [x, b.node("Tanh", [x], name="tanh")], name="through")
    return b.graph([b.linear(b.norm(op, x, "last"), 2, "out"), *outputs])


def single() -> Graph:
    """An input, one norm, one layer: R1 would cost what a rotation in front of the layer costs."""
    b = Maker("g")
    return b.graph([b.linear(b.norm("RMSNormalization", b.input("i", ("N", 8)), "n"), 2, "y")])


LEFT = {
    "it would take 1 rotations while running for 1 norms": single,
    "no power of two divides 7": lambda: small(size=7),
    "norms of two kinds": lambda: small(second="LayerNormalization"),
    "LayerNorm's mean would be missing to other readers": lambda: small(
        "LayerNormalization", quirk="output"
    ),
    "it would take 2 rotations while running for 1 norms": bert,
}


@pytest.mark.parametrize("reason", sorted(LEFT))
def test_what_does_not_pass_is_left_with_its_reason(reason: str) -> None:
    make: Callable[[], Graph] = LEFT[reason]
    graph = make()
    draft = Draft(graph)
    rotate_streams(draft, seed=0)
    assert [r["kind"] for r in draft.records] == ["skipped"] * len(draft.records), draft.records
    assert f"R1: {reason}" in {r["reason"] for r in draft.records}, draft.records
    assert passing_norms(graph) == (), "nor is anything prepared for it"
    assert draft.done() == graph, "nothing is changed"


@pytest.mark.parametrize("op", ["RMSNormalization", "LayerNormalization"])
@pytest.mark.parametrize("quirk", ["output", "relu", "layer", "through"])
def test_readers_that_want_the_stream_itself_get_it(op: str, quirk: str) -> None:
    """RMS: a rotation back, or W R^T. LayerNorm: the mean is gone, so the stream is left."""
    graph = small(op, quirk=quirk)
    turned, records = rotate(graph, how="fused", seed=0)
    assert likeness(graph, turned) >= NEARLY, f"{likeness(graph, turned)} dB"
    first = records[0]
    if op == "LayerNormalization":
        assert first["kind"] == "skipped", first
        return
    assert first["kind"] == "R1", first
    # "through": out of the stream in front of the Tanh, and back into it behind.
    stay = {"output": 1, "relu": 1, "layer": 0, "through": 2}[quirk]
    assert first["while_running"] == stay, f"{quirk}: {first}"
    assert ("layer/product" in first["nodes"]) == (quirk == "layer"), "it takes R^T"


def test_sizes_without_a_matrix_are_turned_in_blocks() -> None:
    graph = small(size=44)
    turned, records = rotate(graph, how="fused", seed=0)
    assert (records[0]["size"], records[0]["block_size"]) == (44, 4), records[0]
    assert likeness(graph, turned) >= NEARLY, "44 = 11 blocks of 4"


def test_an_entry_loses_its_mean_while_running_and_keeps_its_own_readers() -> None:
    graph = whisper()
    turned, records = rotate(graph, how="fused", seed=0)
    assert records[0]["while_running"] == 2, "steps, and the audio"
    nodes = {n.name: n for n in turned.nodes}
    chain = [nodes[f"steps/{n}"].op for n in ("mean", "centred", "rotated")]
    assert chain == ["ReduceMean", "Sub", "Hadamard"], chain
    assert nodes["x"].inputs == ("steps/rotated", "places"), "positions are turned for good"
    old, new = (g.constants["places"].astype(np.float64) for g in (graph, turned))
    lengths = np.linalg.norm(old - old.mean(axis=1, keepdims=True), axis=1)
    error = np.abs(np.linalg.norm(new, axis=1) / lengths - 1)
    assert error.max() <= 2.0**-24, "one rounding to float32 each: R M p is as long as M p"


def test_tied_tables_and_shared_constants_become_two() -> None:
    b = Maker("g")
    table = b.weight("table", 8, 8)
    x = b.node("Gather", [table, b.input("ids", ("N", "T"), dtype="int32")], name="x")
    gain = b.constant("gain", np.exp2(np.arange(8) % 3).astype(np.float32))
    h = b.node("RMSNormalization", [x, gain], name="n1")
    x = b.node("Add", [x, b.linear(h, 8, "y", bias=False)], name="z")
    h = b.node("RMSNormalization", [x, gain], name="n2")
    graph = b.graph([b.node("MatMul", [h, table], name="head")])
    turned, _ = rotate(graph, how="fused", seed=0)
    assert likeness(graph, turned) >= NEARLY, f"{likeness(graph, turned)} dB"
    names = {n.name: n.inputs for n in turned.nodes}
    assert names["x"][0] != names["head"][1], "one is read by row, the other multiplied"


@pytest.mark.parametrize("forgotten", ["table", "0.q.w", "0.o.w", "0.v.w", "0.down.w", "0.norm1.g"])
def test_a_constant_that_is_forgotten_shows(forgotten: str) -> None:
    """The bound is tight enough to see each constant missing."""
    graph = llama()
    turned, _ = rotate(graph, how="fused", seed=0)
    broken = dict(turned.constants)
    broken[forgotten] = graph.constants[forgotten]
    spoiled = Graph(turned.name, turned.inputs, turned.outputs, turned.values, turned.nodes,
                    broken, turned.contracts, turned.meta)  # fmt: skip
    assert likeness(graph, spoiled) < 40, f"{forgotten} is missing, and nobody notices"
