"""Who writes a stream, who reads it, where it begins and ends."""

import numpy as np

from refquant.model.build import Builder
from refquant.model.rotate_find import Links, Writer, find_streams, input_axis, linear
from tests.refquant.model.rotation_zoo import Maker, bert, cnn, llama, whisper


def test_a_llama_is_one_stream() -> None:
    (stream,) = find_streams(Links.of(llama()))
    assert stream.norms == ["0.norm1", "0.norm2", "1.norm1", "1.norm2", "norm"], stream.norms
    sums = {"x", *(f"{i}.sum{j}" for i in (0, 1) for j in (1, 2))}
    assert set(stream.values) == sums | {f"{i}.{n}" for i in (0, 1) for n in ("o", "down")}
    writers = {
        Writer("x", 0, 1),
        *(Writer(f"{i}.{n}", 1, 1) for i in (0, 1) for n in ("o", "down")),
    }
    assert set(stream.writers) == writers, stream.writers
    assert (stream.entries, stream.exits, stream.readers) == ([], [], []), "nothing is left over"


def test_a_whisper_begins_behind_its_convolutions() -> None:
    (stream,) = find_streams(Links.of(whisper()))
    assert (stream.entries, stream.exits) == (["steps"], []), "a Gelu is not linear"
    assert Writer("x", 1, 1) in stream.writers, "positions, (8, 24), along their last axis"
    assert Writer("0.fc2", 1, 0) in stream.writers, "and biases, (24,)"
    assert len(stream.norms) == 5, "the last one, whose output is the graph's, too"


def test_a_bert_has_a_stream_for_each_norm() -> None:
    streams = find_streams(Links.of(bert()))
    assert [s.norms for s in streams] == [["first"]] + [
        [f"{i}.norm{j}"] for i in (0, 1) for j in (1, 2)
    ], "no norm shares a stream"
    assert streams[0].entries == ["x"], "an input of the graph"
    assert streams[1].readers == [f"0.{n}/product" for n in "qkv"], "layers read the entry itself"
    assert find_streams(Links.of(cnn())) == [], "without norms there is none"


def test_who_else_reads_or_wants_a_value_makes_it_an_exit() -> None:
    b = Maker("g")
    x = b.linear(b.input("i", ("N", 8)), 8, "x")
    b.norm("RMSNormalization", x, "n1")
    y = b.node("Add", [x, b.linear(x, 8, "l", bias=False)], name="y")
    b.norm("RMSNormalization", y, "n2")
    z = b.node("Add", [y, b.node("Relu", [y], name="relu")], name="z")
    n = b.norm("RMSNormalization", z, "n3")
    (stream,) = find_streams(Links.of(b.graph([n, z])))
    assert set(stream.exits) == {"y", "z"}, "a Relu reads y, and z is an output"
    assert stream.entries == ["relu"], "what the Relu makes begins anew"
    assert stream.readers == ["l"], "a layer may take R^T"


def test_sums_that_broadcast_are_no_sums_of_the_stream() -> None:
    b = Maker("g")
    x, row = b.input("x", ("N", 3, 8)), b.input("row", ("N", 1, 8))
    one = b.constant("one", np.ones(1, np.float32))
    y = b.node("Add", [x, row], name="y")
    z = b.node("Add", [y, one], name="z")
    n = b.norm("RMSNormalization", z, "n")
    (stream,) = find_streams(Links.of(b.graph([n])))
    assert stream.values == ["z"], "a number for all channels is no vector: R does not pass"
    assert stream.entries == ["z"], "it begins there"
    b = Maker("h")
    x, row = b.input("x", ("N", 3, 8)), b.input("row", ("N", 1, 8))
    n = b.norm("RMSNormalization", b.node("Add", [x, row], name="y"), "n")
    (stream,) = find_streams(Links.of(b.graph([n])))
    assert stream.entries == ["y"], "nor is a row for all steps"


def test_what_is_linear() -> None:
    b = Builder("g")
    x, v = b.input("x", ("N", 4)), b.input("v", ("N", 4, 4))
    w = b.constant("w", np.ones((4, 4), np.float32))
    outputs = [
        b.node("MatMul", [x, w], name="plain"),
        b.node("Gemm", [x, w], name="rows", attributes={"transB": 1}),
        b.node("Relu", [x], name="no"),
        b.node("MatMul", [v, v], name="both"),
    ]
    g = b.graph(outputs)
    nodes = {n.name: n for n in g.nodes}
    asked = {name: linear(g, node, node.inputs[0]) for name, node in nodes.items()}
    assert asked == {"plain": True, "rows": True, "no": False, "both": False}, asked
    assert [input_axis(g, nodes[n]) for n in ("plain", "rows")] == [0, 1], "columns, rows"
    assert not linear(g, nodes["plain"], "w"), "the weight is not the value"


def test_a_norm_whose_gain_is_computed_is_none_of_a_stream() -> None:
    b = Maker("g")
    x = b.linear(b.input("i", (3, 8)), 8, "x")
    gain = b.node("Relu", [b.input("gain", (8,))], name="gain+")
    y = b.node("RMSNormalization", [x, gain], name="n1")
    assert find_streams(Links.of(b.graph([y]))) == [], "its gain cannot move"
    b.norm("RMSNormalization", x, "n2")
    (stream,) = find_streams(Links.of(b.graph([y, "n2"])))
    assert (stream.norms, stream.exits) == (["n2"], ["x"]), "it wants the stream as it was"
