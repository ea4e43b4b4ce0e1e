"""The container of CTranslate2: what is written is read, what is cut is refused."""

import struct
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from refquant.model.loaders.ctranslate2 import parse_ctranslate2, read_ctranslate2
from refquant.model.loaders.tensors import ModelFileError

KINDS = {"float32": 0, "int8": 1, "int16": 2, "int32": 3, "float16": 4}


def text(name: str) -> bytes:
    raw = name.encode() + b"\0"
    return struct.pack("<H", len(raw)) + raw


def tensor(name: str, array: NDArray[np.generic]) -> bytes:
    head = text(name) + struct.pack(f"<B{array.ndim}I", array.ndim, *array.shape)
    return head + struct.pack("<BI", KINDS[array.dtype.name], array.nbytes) + array.tobytes()


def file(*, version: int = 6, spec: str = "WhisperSpec", tensors: bytes, count: int) -> bytes:
    head = struct.pack("<I", version) + text(spec) + struct.pack("<II", 3, count)
    return head + tensors + struct.pack("<I", 1) + text("alias") + text("w")


W = np.arange(6, dtype=np.float16).reshape(2, 3)
HEADS = np.array(6, np.int16)
GOOD = file(tensors=tensor("w", W) + tensor("heads", HEADS), count=2)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(GOOD)
    got = read_ctranslate2(path, name="WhisperSpec").arrays
    assert np.array_equal(got["w"], W), "numbers"
    assert (got["heads"].shape, int(got["heads"])) == ((), 6), "a number alone"
    assert got["alias"] is got["w"], "a second name"


def test_every_cut_is_refused() -> None:
    for end in range(len(GOOD)):
        with pytest.raises(ModelFileError, match="truncated"):
            parse_ctranslate2(GOOD[:end], path="f", name="WhisperSpec")


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (file(version=5, tensors=b"", count=0), "version must be 6, got 5"),
        (file(spec="TransformerSpec", tensors=b"", count=0), "must be a WhisperSpec, got 'Trans"),
        (file(tensors=b"", count=0), "'alias' stands for 'w', which is not there"),
        (GOOD + b"x", "1 bytes too many"),
        (GOOD.replace(b"\x04\x0c\0\0\0", b"\x05\x0c\0\0\0"), "dtype must be 0 to 4"),
        (GOOD.replace(b"\x04\x0c\0\0\0", b"\x04\x0b\0\0\0"), r"its size that of \[2, 3\]"),
        (GOOD.replace(b"w\0", b"\xff\0"), "a name is no UTF-8"),
    ],
)
def test_a_damaged_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        parse_ctranslate2(data, path="f", name="WhisperSpec")
