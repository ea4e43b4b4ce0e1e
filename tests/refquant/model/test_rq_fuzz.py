"""Bytes that are no file: every truncation, every flip, edges in every field.

The law: any bytes give a valid graph or an `RqFormatError`, and nothing else.
"""

import copy
import json
import tracemalloc
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from refquant.model.graph import Graph
from refquant.model.rq import RqFormatError, parse_rq, rq_bytes
from refquant.model.rq_container import decode, encode

NAMES = ["float_cnn", "quantized_cnn", "dynamic", "weight_only", "tables"]
fuzz = settings(suppress_health_check=[HealthCheck.too_slow])


def check(data: bytes, original: Graph | None = None) -> Graph | None:
    """Return the graph of ``data`` or None; anything but `RqFormatError` fails the test."""
    message = ""
    try:
        graph: Graph | None = parse_rq(data, name="f.rq")
    except RqFormatError as error:
        message = str(error)
        graph = None
    if graph is None:
        assert message.startswith("f.rq: "), f"the message names the file: {message}"
        assert "; " in message, f"the message ends in a remedy: {message}"
        return None
    if original is not None:
        assert graph == original, "an accepted file says what the original says"
    assert parse_rq(rq_bytes(graph), name="f.rq") == graph, "what is accepted can be written"
    return graph


def rebuilt(data: bytes, **changes: str) -> bytes:
    """Return the file ``data`` with other metadata."""
    metadata, tensors = decode(data)
    return b"".join(encode(tensors, metadata | changes))


@pytest.mark.parametrize("name", NAMES)
def test_every_truncation_is_refused(zoo: Mapping[str, Graph], name: str) -> None:
    data = rq_bytes(zoo[name])
    for length in range(len(data)):
        assert check(data[:length]) is None, f"{length} of {len(data)} bytes are no file"


@pytest.mark.parametrize("extra", [b"\0", b"{}", b"\0" * 64])
def test_trailing_bytes_are_refused(zoo: Mapping[str, Graph], extra: bytes) -> None:
    assert check(rq_bytes(zoo["dynamic"]) + extra) is None, "no polyglots"


def test_every_flipped_bit_of_a_tensor_is_refused(zoo: Mapping[str, Graph]) -> None:
    data = rq_bytes(zoo["quantized_cnn"])
    start = 8 + int.from_bytes(data[:8], "little")
    for position in range(start, len(data)):
        for bit in range(8) if position % 7 == 0 else [position % 8]:
            damaged = bytearray(data)
            damaged[position] ^= 1 << bit
            with pytest.raises(RqFormatError, match="SHA-256"):
                parse_rq(bytes(damaged), name="f.rq")


@fuzz
@given(st.data())
def test_flipped_bytes_anywhere_give_an_error_or_a_valid_graph(
    zoo: Mapping[str, Graph], data: st.DataObject
) -> None:
    damaged = bytearray(rq_bytes(zoo[data.draw(st.sampled_from(NAMES))]))
    for _ in range(data.draw(st.integers(1, 3))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    check(bytes(damaged))


@given(st.binary(max_size=200))
def test_any_bytes_are_a_graph_or_an_error(data: bytes) -> None:
    assert check(data) is None, "two hundred random bytes are no model"


EDGES: st.SearchStrategy[Any] = st.sampled_from(
    [
        *(None, True, 0, 1, -1, 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 0.1, 1e-320, 1e300, -1.0),
        *("", "N", "x", "w", "\0", "float32", "int4", "onnx", [], [0], [2**62, 2**62], {}, ["x"]),
        *("uint3", "marks", "powers", "t/scale", "f/zero", "f/idx"),
    ]
)


def _paths(tree: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    children: list[Any] = []
    if isinstance(tree, dict):
        children = list(tree)
    elif isinstance(tree, list):
        children = list(range(len(tree)))
    return [at] * bool(at) + [p for c in children for p in _paths(tree[c], (*at, c))]


@settings(parent=fuzz, max_examples=300)
@given(st.data())
def test_an_edited_field_gives_an_error_or_a_valid_graph(
    zoo: Mapping[str, Graph], data: st.DataObject
) -> None:
    """Edges in every field of the graph, deletions, and copies of one place to another."""
    original = rq_bytes(zoo[data.draw(st.sampled_from(NAMES))])
    tree = json.loads(decode(original)[0]["graph"])
    for _ in range(data.draw(st.integers(1, 2))):
        path = data.draw(st.sampled_from(_paths(tree)))
        at = tree
        for key in path[:-1]:
            at = at[key]
        kind = data.draw(st.sampled_from(["edge", "delete", "copy"]))
        if kind == "edge":
            at[path[-1]] = copy.deepcopy(data.draw(EDGES))  # edits must not reach the pool
        elif kind == "delete":
            del at[path[-1]]
        else:
            source: Any = tree
            for key in data.draw(st.sampled_from(_paths(tree))):
                source = source[key]
            at[path[-1]] = json.loads(json.dumps(source))
        if not _paths(tree):
            break
    check(rebuilt(original, graph=json.dumps(tree)))


@given(st.data())
def test_an_edited_header_gives_an_error_or_the_same_graph(
    zoo: Mapping[str, Graph], data: st.DataObject
) -> None:
    """The tensors' entries; nothing there can change without being noticed."""
    graph = zoo["weight_only"]
    original = rq_bytes(graph)
    start = 8 + int.from_bytes(original[:8], "little")
    header = json.loads(original[8:start])
    entry = header[data.draw(st.sampled_from(sorted(graph.constants)))]
    field = data.draw(st.sampled_from(sorted(entry)))
    numbers = st.sampled_from([0, 1, 2, 5, 24, 48, 2**31, 2**32 - 1, 2**63 - 1, 2**63, -1, 0.5])
    entry[field] = data.draw(
        st.sampled_from(["F32", "I8", "U8", "BF16"]) | st.lists(numbers, max_size=3) | EDGES
    )
    text = json.dumps(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    check(len(text).to_bytes(8, "little") + text + original[start:], graph)


def test_nothing_is_allocated_by_a_number_that_was_not_checked(zoo: Mapping[str, Graph]) -> None:
    """A file that speaks of 2^30 elements costs what its own bytes cost."""
    original = rq_bytes(zoo["weight_only"])
    for name, shape in (("w", [2**30, 1]), ("w", [0, 2**62]), ("y", [2**30]), ("x", [2**15] * 2)):
        tree = json.loads(decode(original)[0]["graph"])
        tree["values"][name]["shape"] = shape
        data = rebuilt(original, graph=json.dumps(tree))
        tracemalloc.start()
        assert check(data) is None, f"{name} {shape}"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20, f"{name} {shape} took {peak} bytes"
