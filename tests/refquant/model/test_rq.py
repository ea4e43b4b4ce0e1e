"""The file: what goes in comes out, and no other bytes come in."""

import copy
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors import safe_open

from refquant.model.graph import Graph
from refquant.model.rq import RqFormatError, parse_rq, read_rq, rq_bytes, write_rq
from refquant.model.rq_container import decode, encode
from refquant.model.validate import GraphError

NAMES = ["float_cnn", "quantized_cnn", "dynamic", "weight_only"]
fuzz = settings(suppress_health_check=[HealthCheck.too_slow])


def check(data: bytes, original: Graph | None = None) -> Graph | None:
    """Return the graph of ``data`` or None; anything but `RqFormatError` fails the test."""
    try:
        graph = parse_rq(data, name="f.rq")
    except RqFormatError as error:
        assert str(error).startswith("f.rq: "), f"the message names the file: {error}"
        return None
    if original is not None:
        assert graph == original, "an accepted file says what the original says"
    assert parse_rq(rq_bytes(graph), name="f.rq") == graph, "what is accepted can be written"
    return graph


def rebuilt(data: bytes, **changes: str) -> bytes:
    """Return the file ``data`` with other metadata."""
    metadata, tensors = decode(data)
    return b"".join(encode(tensors, metadata | changes))


def test_reading_gives_back_what_was_written(graph: Graph, tmp_path: Path) -> None:
    path = tmp_path / "m.rq"
    write_rq(path, graph)
    again = read_rq(path)
    assert again == graph, "read(write(g)) == g"
    assert rq_bytes(again) == rq_bytes(graph) == path.read_bytes(), "the same bytes every time"
    assert read_rq(str(path)) == graph, "a path is a str, too"
    assert os.listdir(tmp_path) == ["m.rq"], "no temporary file is left"


def test_the_order_of_dictionaries_does_not_show(zoo: Mapping[str, Graph]) -> None:
    graph = zoo["quantized_cnn"]
    turned = replace(
        graph,
        values=dict(reversed(graph.values.items())),
        constants=dict(reversed(graph.constants.items())),
    )
    assert rq_bytes(turned) == rq_bytes(graph), "the bytes are a function of the content"


def test_safetensors_opens_the_file(graph: Graph, tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", graph)
    with safe_open(tmp_path / "m.rq", "np") as file:
        assert set(file.keys()) == set(graph.constants), "the same tensors"
        assert file.metadata()["format"] == "refquant/1", "the metadata is there"
        for name, array in graph.constants.items():
            stored = file.get_tensor(name)
            if graph.values[name].dtype in ("int4", "uint4"):
                low, high = stored & 15, stored >> 4  # first element in the low bits
                codes = np.stack([low, high], 1).reshape(-1)[: array.size]
                assert codes.tolist() == (array.reshape(-1) & 15).tolist(), name
            else:
                assert stored.tobytes() == array.tobytes(), name


def test_constants_are_read_only(graph: Graph) -> None:
    again = parse_rq(rq_bytes(graph), name="f")
    assert not any(a.flags.writeable for a in again.constants.values()), "a graph is a value"


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


EDGES = st.sampled_from(
    [None, True, 0, 1, -1, 2**31, 2**63 - 1, -(2**63), 0.0, -0.0, 0.1, 1e-320, 1e300, -1.0]
    + ["", "N", "x", "w", "\0", "float32", "int4", "onnx", [], [0], [2**62, 2**62], {}, ["x"]]
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


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": "refquant/2"}, "format is 'refquant/1', got 'refquant/2'"),
        ({"more": "x"}, "exactly the keys .* 'more'"),
        ({"graph": "[]"}, "graph is an object"),
        ({"graph": "{"}, "not JSON"),
        ({"graph": "[" * 10**5}, "JSON"),
        ({"sha256": "[]"}, "one entry for each tensor"),
        ({"sha256": "{}"}, "one entry for each tensor"),
        ({"sha256": '{"w":"","scale":"","zero":""}'}, "its SHA-256 is not the recorded one"),
        ({"sha256": '{"w":1,"scale":2,"zero":3}'}, "its SHA-256 is not the recorded one"),
    ],
)
def test_metadata_is_exactly_what_the_format_says(
    zoo: Mapping[str, Graph], changes: dict[str, str], message: str
) -> None:
    data = rebuilt(rq_bytes(zoo["weight_only"]), **changes)
    with pytest.raises(RqFormatError, match=message):
        parse_rq(data, name="f.rq")


@pytest.mark.parametrize("key", ["format", "graph", "sha256"])
def test_metadata_lacks_nothing(zoo: Mapping[str, Graph], key: str) -> None:
    metadata, tensors = decode(rq_bytes(zoo["weight_only"]))
    del metadata[key]
    with pytest.raises(RqFormatError, match=key):
        parse_rq(b"".join(encode(tensors, metadata)), name="f.rq")


def _swap(data: bytes, name: str, array: np.ndarray) -> bytes:
    """Return the file with another tensor, its hash corrected."""
    import hashlib

    metadata, tensors = decode(data)
    tensors[name] = array
    digests = {n: hashlib.sha256(a.tobytes()).hexdigest() for n, a in tensors.items()}
    return b"".join(encode(tensors, metadata | {"sha256": json.dumps(digests)}))


@pytest.mark.parametrize(
    ("name", "array", "message"),
    [
        ("more", np.zeros(1, np.int8), "tensor 'more' is not in graph.values"),
        ("scale", np.ones((3, 2), np.int32), r"float32 of shape \[3, 2\] is stored as F32"),
        ("scale", np.ones((2, 3), np.float32), r"is stored as F32 \[3, 2\], got F32 \[2, 3\]"),
        (
            "w",
            np.zeros(4, np.uint8),
            r"uint4 of shape \[5, 2\] is stored as U8 \[5\], got U8 \[4\]",
        ),
        ("w", np.zeros(5, np.int8), r"is stored as U8 \[5\], got I8 \[5\]"),
        ("w", np.zeros((5, 2), np.uint8), r"is stored as U8 \[5\], got U8 \[5, 2\]"),
        ("scale", np.full((3, 2), np.nan, np.float32), "'w': quant: scale must be finite"),
        ("zero", np.full((3, 2), 16, np.int32), "'w': quant: zero_point must be in"),
    ],
)
def test_a_tensor_is_what_its_value_says(
    zoo: Mapping[str, Graph], name: str, array: np.ndarray, message: str
) -> None:
    with pytest.raises(RqFormatError, match=message):
        parse_rq(_swap(rq_bytes(zoo["weight_only"]), name, array), name="f.rq")


def test_unused_bits_of_packed_codes_are_zero(zoo: Mapping[str, Graph]) -> None:
    data = rq_bytes(zoo["quantized_cnn"])
    packed = decode(data)[1]["w2"].copy()  # 15 codes of 4 bits in 8 bytes
    packed[-1] |= 0x80
    with pytest.raises(RqFormatError, match="'w2'.*unused high bits"):
        parse_rq(_swap(data, "w2", packed), name="f.rq")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for path in (tmp_path / "none.rq", tmp_path, fifo, Path("/dev/zero")):
        with pytest.raises(RqFormatError, match=f"{path}: cannot read: "):
            read_rq(path)
    with pytest.raises(RqFormatError, match="cannot read"):
        read_rq("a\0b")


def test_an_invalid_graph_is_not_written(zoo: Mapping[str, Graph], tmp_path: Path) -> None:
    path = tmp_path / "m.rq"
    write_rq(path, zoo["dynamic"])
    before = path.read_bytes()
    with pytest.raises(GraphError):
        write_rq(path, replace(zoo["dynamic"], outputs=("nothing",)))
    assert path.read_bytes() == before, "the old file is untouched"
    assert os.listdir(tmp_path) == ["m.rq"], "and no other is left"


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_failing_disk_leaves_the_old_file(
    zoo: Mapping[str, Graph], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    path = tmp_path / "m.rq"
    path.write_bytes(b"old")

    def fail(*_: object) -> None:
        raise OSError("no space left")

    monkeypatch.setattr("os.fsync" if call == "fsync" else "pathlib.Path.replace", fail)
    with pytest.raises(OSError, match="no space left"):
        write_rq(path, zoo["dynamic"])
    assert path.read_bytes() == b"old", "the old file is untouched"
    assert os.listdir(tmp_path) == ["m.rq"], "and no other is left"


def test_a_directory_that_is_not_there_is_the_callers_fault(
    zoo: Mapping[str, Graph], tmp_path: Path
) -> None:
    with pytest.raises(FileNotFoundError):
        write_rq(tmp_path / "none" / "m.rq", zoo["dynamic"])
