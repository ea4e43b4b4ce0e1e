"""The safetensors layer alone: every rule of docs/spec/rq-format.md, section 1, broken once."""

import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from refquant.model.rq_container import MAX_HEADER, ContainerError, decode, encode, short
from refquant.model.rq_json import JsonError

META = {"format": "refquant/1"}
DTYPES = [np.int64, np.float32, np.int32, np.int16, np.uint16, np.int8, np.uint8]


def file(header: Any, data: bytes = b"") -> bytes:
    """Return a file with this header; a str stands as it is."""
    text = (header if isinstance(header, str) else json.dumps(header)).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return len(text).to_bytes(8, "little") + text + data


def one(**changes: Any) -> dict[str, Any]:
    """Return a header of one tensor of four bytes."""
    entry = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]} | changes
    return {"__metadata__": META, "t": entry}


@given(
    st.dictionaries(
        st.text("aé/. ", min_size=1),
        hnp.arrays(st.sampled_from(DTYPES), hnp.array_shapes(min_dims=0, min_side=0)),
    )
)
def test_reading_gives_back_what_was_written(tensors: dict[str, np.ndarray]) -> None:
    data = b"".join(encode(tensors, META))
    metadata, again = decode(data)
    assert metadata == META, "metadata is kept"
    assert again.keys() == tensors.keys(), "tensors are kept"
    for name, array in tensors.items():
        assert again[name].dtype == array.dtype, name
        assert again[name].shape == array.shape, name
        assert again[name].tobytes() == array.tobytes(), name
    assert b"".join(encode(again, metadata)) == data, "the bytes are a function of the content"


def test_tensors_are_aligned_ordered_and_read_only() -> None:
    tensors: dict[str, np.ndarray] = {
        "b": np.zeros(3, np.int8),
        "a": np.zeros(1, np.int16),
        "z": np.ones(2, np.float32),
    }
    data = b"".join(encode(tensors, META))
    start = 8 + int.from_bytes(data[:8], "little")
    assert start % 64 == 0, "the data begins at a multiple of 64"
    header = json.loads(data[8:start])
    offsets = {name: header[name]["data_offsets"][0] for name in tensors}
    assert offsets == {"z": 0, "a": 8, "b": 10}, "larger elements first"
    assert not decode(data)[1]["z"].flags.writeable, "a view of the file's bytes"


def test_non_contiguous_and_big_endian_arrays_are_written_row_major_little_endian() -> None:
    array = np.arange(6, dtype=">i4").reshape(2, 3).T
    _, tensors = decode(b"".join(encode({"t": array}, META)))
    assert tensors["t"].tolist() == array.tolist(), "values, not memory"


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "truncated: the head is 8 bytes, the file has 0"),
        (b"1234567", "the file has 7"),
        ((1).to_bytes(8, "little"), "header length is 2 to"),
        ((MAX_HEADER + 1).to_bytes(8, "little"), "header length is 2 to"),
        ((2**64 - 1).to_bytes(8, "little") + b"{}", "header length is 2 to"),
        (
            (56).to_bytes(8, "little") + b"{}",
            "truncated: the header ends at byte 64, the file at 10",
        ),
        ((2).to_bytes(8, "little") + b"{}", "multiple of 64, got 10"),
        (file("[]"), "first byte is '{'"),
        (file(" {}"), "first byte is '{'"),
        (file('{"a":'), "ends with '}'"),
        (file("{}\n"), "ends with '}' and spaces"),
        (file('{"a" 1}'), "not JSON"),
        ((56).to_bytes(8, "little") + b'{"\xff":1}'.ljust(56), "UTF-8"),
        (file({}), "'__metadata__' is an object of strings"),
        (file({"__metadata__": {"a": 1}}), "'__metadata__' is an object of strings"),
        (file({"__metadata__": "a"}), "'__metadata__' is an object of strings"),
        (file({"__metadata__": META}, b"x"), "trailing bytes"),
        (file(one()), "truncated: the tensors end at data byte 4, the file at 0"),
        (file(one(), b"12345"), "trailing bytes"),
        (file(one(dtype="F64"), b"1234"), "'t': dtype is one of"),
        (file(one(dtype=None), b"1234"), "'t': dtype is one of"),
        (file(one(dtype=["F32"]), b"1234"), "'t': dtype is one of"),
        (file(one(extra=1), b"1234"), "exactly the fields"),
        (file({"__metadata__": META, "t": [1]}, b"1234"), "exactly the fields"),
        (file(one(shape=[-1]), b"1234"), "shape is a list of at most 6 integers"),
        (file(one(shape=[1.0]), b"1234"), "shape is a list of at most 6 integers"),
        (file(one(shape=[True]), b"1234"), "shape is a list of at most 6 integers"),
        (file(one(shape=1), b"1234"), "shape is a list of at most 6 integers"),
        (file(one(shape=[1] * 7), b"1234"), "shape is a list of at most 6 integers"),
        (file(one(shape=[2**62] * 100_000), b"1234"), "shape is a list of at most 6 integers"),
        (file(one(shape=[2]), b"1234"), "takes 8 bytes"),
        (file(one(shape=[2**62, 2**62]), b"1234"), "takes .* bytes"),
        (file(one(shape=[0]), b"1234"), "takes 0 bytes"),
        (file(one(shape=[0, 2**62, 2**62], data_offsets=[0, 0])), "shape"),
        (file(one(data_offsets=[0])), "data_offsets is"),
        (file(one(data_offsets=[0, 4, 4]), b"1234"), "data_offsets is"),
        (file(one(data_offsets=[4, 0]), b"1234"), "give -4"),
        (file(one(data_offsets=[1, 5]), b"12345"), "hole"),
        (file(one(data_offsets=[0, 2**64]), b"1234"), r"2\^63"),
    ],
)
def test_a_broken_rule_is_named(data: bytes, message: str) -> None:
    with pytest.raises((ContainerError, JsonError), match=message):
        decode(data)


def _pair(second: list[int], *, names: str = "ab", dtypes: str = "F32 F32") -> dict[str, Any]:
    first, other = dtypes.split()
    return {
        "__metadata__": META,
        names[0]: {"dtype": first, "shape": [1], "data_offsets": [0, 4 if first == "F32" else 1]},
        names[1]: {"dtype": other, "shape": [1], "data_offsets": second},
    }


@pytest.mark.parametrize(
    ("header", "size", "message"),
    [
        (_pair([2, 6]), 6, "overlaps"),
        (_pair([0, 4]), 4, "overlaps"),
        (_pair([5, 9]), 9, "hole"),
        (_pair([4, 8], names="ba"), 8, "out of order"),
        (_pair([1, 5], dtypes="I8 F32"), 5, "out of order"),
    ],
)
def test_extents_partition_the_data(header: Any, size: int, message: str) -> None:
    with pytest.raises(ContainerError, match=message):
        decode(file(header, bytes(size)))


def test_a_file_without_tensors_is_a_file() -> None:
    assert decode(file({"__metadata__": META})) == (META, {}), "nothing is a valid content"


def _encode(tensors: dict[str, np.ndarray]) -> Callable[[], bytes]:
    return lambda: b"".join(encode(tensors, META))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (_encode({"__metadata__": np.zeros(1, np.int8)}), "cannot be named"),
        (_encode({"t": np.zeros(1, np.float64)}), "float64"),
    ],
)
def test_what_has_no_place_in_a_file_is_not_written(
    write: Callable[[], bytes], message: str
) -> None:
    with pytest.raises(ContainerError, match=message):
        write()


def test_messages_stay_short() -> None:
    assert len(short([1] * 10**6)) == 80, "a megabyte of nonsense is cut"
    assert short([1]) == "[1]", "what is short stays"
