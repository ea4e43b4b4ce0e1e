"""The bytes are gguf's own, and the file appears whole or not at all."""

from pathlib import Path
from typing import Any

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.ggml.types import GGML_TYPES
from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.read import parse_gguf
from refquant.formats.gguf.tensor import GgufTensor, plain_tensor
from refquant.formats.gguf.write import gguf_bytes, write_gguf
from tests.refquant.formats.gguf.handmade import GOOD
from tests.refquant.formats.gguf.test_read import F32, KEYS, Q8_0, by_outsider

TENSORS = [
    plain_tensor("f32", F32),
    GgufTensor("q8_0", (2, 64), GGML_TYPES["Q8_0"], Q8_0.reshape(-1)),
]

# What gguf 0.19 writes otherwise, or not at all.
DISAGREEMENTS = {
    "empty_string": "add_string drops an empty string: the key is gone; llama.cpp writes it",
    "empty_array": "add_array drops an empty array; llama.cpp writes it",
}


def test_the_bytes_are_those_of_gguf(tmp_path: Path) -> None:
    by_outsider(tmp_path / "f.gguf", outsider.GGUFEndian.LITTLE)
    ours = gguf_bytes({"general.architecture": "llama", **KEYS}, TENSORS)
    assert ours == (tmp_path / "f.gguf").read_bytes(), "another byte"


@pytest.mark.parametrize("alignment", [8, 64, 256])
def test_the_bytes_of_an_aligned_file_are_those_of_gguf(alignment: int, tmp_path: Path) -> None:
    writer = outsider.GGUFWriter(tmp_path / "f.gguf", "llama")
    writer.add_custom_alignment(alignment)
    writer.add_tensor("f32", F32)
    writer.add_tensor("again", F32[:1])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    tensors = [plain_tensor("f32", F32), plain_tensor("again", F32[:1])]
    ours = gguf_bytes({"general.architecture": "llama"}, tensors, alignment=alignment)
    assert ours == (tmp_path / "f.gguf").read_bytes(), "another byte"
    keys: dict[str, Any] = {"general.architecture": "llama"}
    keys["general.alignment"] = np.uint32(alignment)
    assert gguf_bytes(keys, tensors) == ours, "the key alone says it, too"


def test_where_gguf_writes_otherwise(tmp_path: Path) -> None:
    found = set()
    empty: dict[str, tuple[str, Any]] = {
        "empty_string": ("add_string", ""),
        "empty_array": ("add_array", []),
    }
    for name, (method, value) in empty.items():
        writer = outsider.GGUFWriter(tmp_path / name, "llama")
        getattr(writer, method)("k", value)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
        ours = value if isinstance(value, str) else tuple(value)
        keys = {"general.architecture": "llama", "k": ours}
        if gguf_bytes(keys, []) != (tmp_path / name).read_bytes():
            found.add(name)
        assert parse_gguf(gguf_bytes(keys, []), name="f").metadata["k"] == ours, "ours is there"
    assert found == set(DISAGREEMENTS), f"{found ^ set(DISAGREEMENTS)}"


def test_gguf_reads_what_is_written(tmp_path: Path) -> None:
    write_gguf(tmp_path / "f.gguf", {"general.architecture": "llama", **KEYS}, TENSORS)
    reader = outsider.GGUFReader(tmp_path / "f.gguf")
    for name, expected in KEYS.items():
        value = reader.fields[name].contents()
        plain = expected.tolist() if isinstance(expected, np.generic | np.ndarray) else expected
        assert value == (list(plain) if isinstance(plain, tuple) else plain), f"{name}: {value}"
    assert [t.name for t in reader.tensors] == ["f32", "q8_0"], f"{reader.tensors}"
    assert reader.tensors[0].data.tobytes() == F32.tobytes(), "f32"
    assert reader.tensors[1].data.tobytes() == Q8_0.tobytes(), "q8_0"


def test_reading_and_writing_is_the_identity() -> None:
    file = parse_gguf(GOOD, name="f")
    assert gguf_bytes(file.metadata, file.tensors.values()) == GOOD, "another byte"


def test_no_tensors_and_no_keys_are_a_file() -> None:
    data = gguf_bytes({}, [])
    assert data == b"GGUF\3\0\0\0" + bytes(24), data.hex(" ")
    assert not parse_gguf(data, name="f").tensors, "no tensors"


@pytest.mark.parametrize(
    ("keys", "tensors", "alignment", "code"),
    [
        ({"": "v"}, [], None, "bad_key"),
        ({"k": 7}, [], None, "bad_value_type"),
        ({}, [TENSORS[0], TENSORS[0]], None, "duplicate_tensor"),
        ({}, [], 0, "bad_alignment"),
        ({}, [], 24, "bad_alignment"),
        ({}, [], -8, "bad_alignment"),
        ({}, [], 2**32, "bad_alignment"),
        ({"general.alignment": np.uint32(64)}, [], 32, "bad_alignment"),
        ({"general.alignment": np.int32(64)}, [], None, "bad_alignment"),
        ({"general.alignment": "64"}, [], None, "bad_alignment"),
        ({"general.alignment": "64"}, [], 64, "bad_alignment"),
    ],
)
def test_what_no_file_can_hold_is_refused_and_nothing_is_written(
    keys: dict[str, Any], tensors: list[GgufTensor], alignment: int | None, code: str,
    tmp_path: Path,
) -> None:  # fmt: skip
    path = tmp_path / "f.gguf"
    path.write_bytes(b"what was there")
    with pytest.raises(GgufError) as caught:
        write_gguf(path, keys, tensors, alignment=alignment)
    assert caught.value.code == code, f"{caught.value}"
    assert path.read_bytes() == b"what was there", "the file was touched"
    assert [p.name for p in tmp_path.iterdir()] == ["f.gguf"], "something was left behind"


def test_a_failure_half_way_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "f.gguf"
    path.write_bytes(b"what was there")

    def full(descriptor: int) -> None:
        raise OSError(28, "no space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_gguf(path, {}, TENSORS)
    assert path.read_bytes() == b"what was there", "the file was touched"
    assert [p.name for p in tmp_path.iterdir()] == ["f.gguf"], "something was left behind"


def test_a_view_of_a_tensor_is_written_as_it_reads() -> None:
    data = np.arange(272, dtype=np.uint8)[::2]  # not contiguous
    tensor = GgufTensor("t", (128,), GGML_TYPES["Q8_0"], data)
    back = parse_gguf(gguf_bytes({}, [tensor]), name="f").tensors["t"].data
    assert back.tolist() == data.tolist(), f"{back}"
