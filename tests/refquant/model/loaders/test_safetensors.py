"""Files of the safetensors library are read; damaged ones are refused in one sentence."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from safetensors.numpy import save

from refquant.model.loaders.safetensors import parse_safetensors, read_safetensors
from refquant.model.loaders.tensors import ModelFileError


def file(header: Any, data: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return len(text).to_bytes(8, "little") + text + data


def entry(dtype: Any = "U8", shape: Any = (2,), offsets: Any = (0, 2)) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": offsets}


def test_what_the_library_writes_is_read(tmp_path: Path) -> None:
    arrays: dict[str, NDArray[Any]] = {
        "w": np.arange(6, dtype=np.float32).reshape(2, 3),
        "ids": np.arange(3, dtype=np.int64),
        "half": np.array([1.5], np.float16),
        "none": np.zeros((0, 4), np.float32),
    }
    path = tmp_path / "m.safetensors"
    path.write_bytes(save(arrays, metadata={"format": "pt"}))
    got = read_safetensors(path).arrays
    assert got.keys() == arrays.keys(), "every tensor"
    for name, array in arrays.items():
        assert got[name].dtype == array.dtype, name
        assert np.array_equal(got[name], array), name


def test_a_dtype_that_numpy_has_not_is_absent() -> None:
    data = file({"b": entry("BF16", [1]), "w": entry(offsets=(2, 4))}, b"abcd")
    assert set(parse_safetensors(data, name="f").arrays) == {"w"}, "nobody asked for it"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated or no safetensors"),
        (b"\xff" * 16, "truncated or no safetensors"),
        (file({"w": entry()}, b"ab")[:20], "truncated or no safetensors"),
        (file(b"[1]"), "header is no object"),
        (file(b"{]"), "header is no JSON"),
        (file(b'{"a":"\xff"}'), "header is no JSON"),
        (file({"w": entry()}, b"a"), "'w': ends at data byte 2, the file at 1"),
        (file({"w": entry(shape=(3,))}, b"ab"), r"'w': U8 \[3\] takes 3 bytes, got 2"),
        (file({"w": entry(offsets=(2, 0))}, b"ab"), "ends at data byte 0"),
        (file({"w": entry(offsets=(0,))}, b"ab"), "integers >= 0"),
        (file({"w": entry(shape=(-2,))}, b"ab"), "integers >= 0"),
        (file({"w": entry(shape="2")}, b"ab"), "integers >= 0"),
        (file({"w": entry()}, b"abPK"), "2 bytes behind the last tensor belong to none"),
        (file({"w": entry(offsets=(1, 3))}, b"abc"), "leave a hole at data byte 1"),
        (file({"v": entry(), "w": entry(offsets=(1, 3))}, b"abc"), "lie on each other"),
        (file({"w": 3}), "has dtype, shape and data_offsets"),
    ],
)
def test_a_damaged_file_is_refused(data: bytes, message: str) -> None:
    with pytest.raises(ModelFileError, match=message):
        parse_safetensors(data, name="f")


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="cannot be read"):
        read_safetensors(tmp_path)
