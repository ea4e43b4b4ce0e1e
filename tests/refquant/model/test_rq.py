"""The file: what goes in comes out, and no other bytes come in."""

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors import safe_open

from refquant.model.graph import DTYPES, Graph
from refquant.model.rq import RqFormatError, parse_rq, read_rq, rq_bytes, rq_digest, write_rq
from refquant.model.rq_container import decode, encode
from refquant.model.validate import GraphError


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
    assert rq_digest(graph) == hashlib.sha256(path.read_bytes()).hexdigest(), "of these bytes"
    assert read_rq(str(path)) == graph, "a path is a str, too"
    assert os.listdir(tmp_path) == ["m.rq"], "no temporary file is left"


def test_the_order_of_dictionaries_does_not_show(zoo: Mapping[str, Graph]) -> None:
    graph = zoo["quantized_cnn"]
    turned = replace(
        graph,
        values=dict(reversed(list(graph.values.items()))),
        constants=dict(reversed(list(graph.constants.items()))),
    )
    assert rq_bytes(turned) == rq_bytes(graph), "the bytes are a function of the content"


def test_safetensors_opens_the_file(graph: Graph, tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", graph)
    with safe_open(tmp_path / "m.rq", "np") as file:
        assert set(file.keys()) == set(graph.constants), "the same tensors"
        version = "refquant/2" if graph.name == "tables" else "refquant/1"
        assert file.metadata()["format"] == version, "the first that has all it needs"
        for name, array in graph.constants.items():
            stored = file.get_tensor(name)
            if graph.values[name].dtype in ("int4", "uint4"):
                low, high = stored & 15, stored >> 4  # first element in the low bits
                codes = np.stack([low, high], 1).reshape(-1)[: array.size]
                assert codes.tolist() == (array.reshape(-1) & 15).tolist(), name
            elif (bits := DTYPES[graph.values[name].dtype].bits) < 8:
                whole = int.from_bytes(stored.tobytes(), "little")  # a stream, lowest bit first
                held = [whole >> (i * bits) & ((1 << bits) - 1) for i in range(array.size)]
                assert held == (array.reshape(-1) & ((1 << bits) - 1)).tolist(), name
            else:
                assert stored.tobytes() == array.tobytes(), name


def test_constants_are_read_only(graph: Graph) -> None:
    again = parse_rq(rq_bytes(graph), name="f")
    assert not any(a.flags.writeable for a in again.constants.values()), "a graph is a value"


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"format": "refquant/3"},
            r"format is one of \['refquant/1', 'refquant/2'\], got 'refquant/3'",
        ),
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
    with pytest.raises(RqFormatError, match=r"'w2'.*unused high bits"):
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


def test_a_file_of_version_1_has_no_words_for_version_2(zoo: Mapping[str, Graph]) -> None:
    data = rebuilt(rq_bytes(zoo["tables"]), format="refquant/1")
    with pytest.raises(RqFormatError, match="format is 'refquant/1', the graph needs 'refquant/2'"):
        parse_rq(data, name="f.rq")
