"""What a good file says, and what the outsider says of it. Bad ones: test_corpus.py."""

import os
from pathlib import Path
from typing import Any

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.read import GgufFile, parse_gguf, read_gguf
from refquant.formats.gguf.write import gguf_bytes, write_gguf
from tests.refquant.formats.gguf import handmade
from tests.refquant.formats.gguf.handmade import GOOD

KEYS: dict[str, Any] = {
    "a.uint8": np.uint8(255),
    "a.int8": np.int8(-1),
    "a.uint16": np.uint16(7),
    "a.int16": np.int16(-7),
    "a.uint32": np.uint32(2**31),
    "a.int32": np.int32(-5),
    "a.float32": np.float32(0.1),
    "a.bool": True,
    "a.string": "Ġ grüße",
    "a.uint64": np.uint64(2**63),
    "a.int64": np.int64(-(2**40)),
    "a.float64": np.float64(0.1),
    "an.array": np.array([1, -2, 3], np.int32),
    "an.array_of_strings": ("a", "", "ü"),
}
F32 = np.arange(12, dtype=np.float32).reshape(3, 4)
Q8_0 = np.arange(136, dtype=np.uint8).reshape(2, 68)


def by_outsider(path: Path, endian: outsider.GGUFEndian) -> None:
    """Write keys and two tensors, as gguf does."""
    writer = outsider.GGUFWriter(path, "llama", endianess=endian)
    for name, value in KEYS.items():
        if isinstance(value, np.generic):
            kind = outsider.GGUFValueType[value.dtype.name.upper()]
            writer.add_key_value(name, value.item(), kind)
        elif isinstance(value, np.ndarray):
            writer.add_array(name, value.tolist())
        elif isinstance(value, tuple):
            writer.add_array(name, list(value))
        elif isinstance(value, bool):
            writer.add_bool(name, value)
        else:
            writer.add_string(name, value)
    writer.add_tensor("f32", F32)
    writer.add_tensor("q8_0", Q8_0, raw_dtype=outsider.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def says_what_was_written(file: GgufFile) -> None:
    assert list(file.metadata) == ["general.architecture", *KEYS], f"{list(file.metadata)}"
    for name, expected in KEYS.items():
        value = file.metadata[name]
        assert type(value) is type(expected), f"{name}: {value!r}"
        assert np.array_equal(value, expected), f"{name}: {value!r}"
    assert list(file.tensors) == ["f32", "q8_0"], f"{list(file.tensors)}"
    assert file.tensors["f32"].shape == (3, 4), "NumPy's order of axes"
    assert file.tensors["q8_0"].shape == (2, 64), "elements, not bytes"
    assert file.tensors["q8_0"].type.name == "Q8_0", f"{file.tensors['q8_0'].type}"
    assert file.alignment == 32, f"{file.alignment}"


def test_a_file_of_gguf_is_read_as_it_was_written(tmp_path: Path) -> None:
    by_outsider(tmp_path / "f.gguf", outsider.GGUFEndian.LITTLE)
    file = read_gguf(tmp_path / "f.gguf")
    says_what_was_written(file)
    assert (file.version, file.byte_order) == (3, "little"), f"{file.version} {file.byte_order}"
    assert file.tensors["f32"].data.tobytes() == F32.tobytes(), "the bytes of f32"
    assert file.tensors["q8_0"].data.tobytes() == Q8_0.tobytes(), "the bytes of q8_0"


def test_a_big_endian_file_is_read_and_its_blocks_are_not_decoded(tmp_path: Path) -> None:
    by_outsider(tmp_path / "f.gguf", outsider.GGUFEndian.BIG)
    file = read_gguf(tmp_path / "f.gguf")
    says_what_was_written(file)
    assert (file.version, file.byte_order) == (3, "big"), f"{file.version} {file.byte_order}"
    assert file.tensors["f32"].data.tobytes() == F32.astype(">f4").tobytes(), "as in the file"
    assert np.array_equal(file.tensors["f32"].decode(), F32), f"{file.tensors['f32'].decode()}"
    with pytest.raises(GgufError, match="gguf-convert-endian") as caught:
        file.tensors["q8_0"].decode()
    assert caught.value.code == "big_endian_blocks", caught.value.code
    with pytest.raises(GgufError, match="gguf-convert-endian"):
        gguf_bytes(file.metadata, file.tensors.values())


def test_blocks_decode_as_gguf_decodes_them(tmp_path: Path) -> None:
    by_outsider(tmp_path / "f.gguf", outsider.GGUFEndian.LITTLE)
    blocks = np.zeros((2, 68), np.uint8)
    blocks[:, [1, 35]] = 0x3C  # scales of 1.0
    blocks[:, 2:34] = np.arange(32)
    writer = outsider.GGUFWriter(tmp_path / "q.gguf", "llama")
    writer.add_tensor("t", blocks, raw_dtype=outsider.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    ours = read_gguf(tmp_path / "q.gguf").tensors["t"].decode()
    theirs = outsider.dequantize(blocks, outsider.GGMLQuantizationType.Q8_0)
    assert ours.tobytes() == theirs.tobytes(), f"{ours} is not {theirs}"
    assert ours[0, :3].tolist() == [0.0, 1.0, 2.0], f"{ours[0, :3]}"


def test_version_2_is_version_3() -> None:
    second = bytearray(GOOD)
    second[4] = 2
    old, new = parse_gguf(bytes(second), name="f"), parse_gguf(GOOD, name="f")
    assert (old.version, new.version) == (2, 3), f"{old.version}, {new.version}"
    assert gguf_bytes(old.metadata, old.tensors.values()) == GOOD, "the same content"


def test_what_is_read_cannot_be_changed(tmp_path: Path) -> None:
    (tmp_path / "f.gguf").write_bytes(GOOD)
    file = read_gguf(tmp_path / "f.gguf")
    assert not file.tensors["t"].data.flags.writeable, "a view of the file"
    with pytest.raises(TypeError):
        file.tensors["x"] = file.tensors["t"]  # type: ignore[index]  # that is the point
    with pytest.raises(TypeError):
        file.metadata["x"] = "y"  # type: ignore[index]  # that is the point


def test_the_alignment_of_the_file_places_the_tensors() -> None:
    keys = [handmade.key(handmade.ALIGN, handmade.U32, handmade.u32(64))]
    infos = [handmade.info("a"), handmade.info("b", offset=64)]
    file = parse_gguf(handmade.gguf(keys, infos, bytes(range(128)), alignment=64), name="f")
    assert file.tensors["b"].data[0] == 64, f"b begins with {file.tensors['b'].data[0]}"
    assert file.alignment == 64, f"{file.alignment}"


def test_a_file_can_be_written_over_itself(tmp_path: Path) -> None:
    path = tmp_path / "f.gguf"
    path.write_bytes(GOOD)
    file = read_gguf(path)  # mapped while it is replaced
    write_gguf(path, {**file.metadata, "new": "key"}, file.tensors.values())
    again = read_gguf(path)
    assert again.metadata["new"] == "key", "the new key"
    assert again.tensors["u"].data.tobytes() == bytes(range(68)), "the old tensor"


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "nul"])
def test_what_is_no_file_is_one_error(kind: str, tmp_path: Path) -> None:
    path = str(tmp_path / "x.gguf")
    if kind == "folder":
        os.mkdir(path)
    elif kind == "pipe":
        os.mkfifo(path)
        keep = os.open(path, os.O_RDWR)  # or opening to read would wait for a writer
    elif kind == "nul":
        path += "\0"
    with pytest.raises(GgufError, match="cannot read") as caught:
        read_gguf(path)
    assert caught.value.code == "unreadable", caught.value.code
    if kind == "pipe":
        os.close(keep)


def test_an_empty_file_is_truncated(tmp_path: Path) -> None:
    (tmp_path / "x.gguf").touch()
    with pytest.raises(GgufError, match=r"x\.gguf: byte 0: the magic takes 4 bytes"):
        read_gguf(tmp_path / "x.gguf")
