"""Every type of value goes into bytes and back, bit for bit, in both byte orders."""

import struct
from typing import Any

import gguf as outsider
import numpy as np
import pytest

from refquant.formats.gguf.cursor import Cursor
from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.values import (
    VALUE_TYPES,
    encode_string,
    encode_value,
    read_value,
    value_type,
)

# name -> (id, the format of struct, values at the edges)
NUMBERS: dict[str, tuple[int, str, list[Any]]] = {
    "uint8": (0, "B", [0, 255]),
    "int8": (1, "b", [-128, 127]),
    "uint16": (2, "H", [0, 65535]),
    "int16": (3, "h", [-32768, 32767]),
    "uint32": (4, "I", [0, 2**32 - 1]),
    "int32": (5, "i", [-(2**31), 2**31 - 1]),
    "float32": (6, "f", [0.0, -0.0, 1.5, float("inf"), 2.0**-149]),
    "uint64": (10, "Q", [0, 2**64 - 1]),
    "int64": (11, "q", [-(2**63), 2**63 - 1]),
    "float64": (12, "d", [0.1, float("-inf"), 5e-324]),
}


def test_the_types_are_those_of_gguf() -> None:
    theirs = {each.value: each.name.lower() for each in outsider.GGUFValueType}
    assert dict(VALUE_TYPES) == theirs, f"{set(VALUE_TYPES.items()) ^ set(theirs.items())}"


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_and_vectors_are_what_struct_says(name: str) -> None:
    number, letter, values = NUMBERS[name]
    dtype = np.dtype(name)
    for value in values:
        expected = struct.pack(f"<I{letter}", number, value)
        assert encode_value(dtype.type(value)) == expected, f"{name} {value}"
        back = read_value(Cursor(memoryview(expected)), "k")
        assert isinstance(back, np.generic), f"{name} came back as {type(back)}"
        assert back.dtype == dtype, f"{name} came back as {back.dtype}"
        assert encode_value(back) == expected, f"{name} {value} came back as {back}"
    n = len(values)
    expected = struct.pack(f"<IIQ{n}{letter}", 9, number, n, *values)
    assert encode_value(np.array(values, dtype)) == expected, f"a vector of {name}"
    vector = read_value(Cursor(memoryview(expected)), "k")
    assert encode_value(vector) == expected, f"a vector of {name} came back as {vector}"
    swapped = struct.pack(f">IIQ{n}{letter}", 9, number, n, *values)
    vector = read_value(Cursor(memoryview(swapped), "big"), "k")
    assert encode_value(vector) == expected, f"a big-endian vector of {name}: {vector}"
    assert not isinstance(vector, np.ndarray) or not vector.flags.writeable, "read-only"


@pytest.mark.parametrize("bits", [0x7F800001, 0xFFFFFFFF, 0x7FC00000])
def test_a_nan_keeps_its_bits(bits: int) -> None:
    data = struct.pack("<II", 6, bits)
    assert encode_value(read_value(Cursor(memoryview(data)), "k")) == data, f"{bits:#x}"


def test_a_vector_of_another_byte_order_is_the_same_value() -> None:
    big = np.array([1, 2], ">u4")
    assert encode_value(big) == encode_value(big.astype("<u4")), "the file has one byte order"


@pytest.mark.parametrize("value", ["", "a\0b", "Ġthe", "\U0001f600", "x" * 1000])
def test_strings_are_length_and_utf8(value: str) -> None:
    raw = value.encode()
    assert encode_string(value) == struct.pack("<Q", len(raw)) + raw, f"{value!r}"
    back = read_value(Cursor(memoryview(encode_value((value, "b")))), "k")
    assert back == (value, "b"), f"{value!r} came back as {back}"


@pytest.mark.parametrize("value", [True, False, np.True_])
def test_a_truth_value_is_one_byte(value: bool) -> None:
    assert encode_value(value) == bytes([7, 0, 0, 0, bool(value)]), f"{value}"
    back = read_value(Cursor(memoryview(encode_value(value))), "k")
    assert back is bool(value), f"{value} came back as {back!r}"


def test_a_vector_of_truth_values() -> None:
    data = encode_value(np.array([True, False, True]))
    assert data == struct.pack("<IIQ3B", 9, 7, 3, 1, 0, 1), data.hex(" ")
    back = read_value(Cursor(memoryview(data)), "k")
    assert isinstance(back, np.ndarray), f"{back!r}"
    assert back.dtype.name == "bool", f"{back!r}"
    assert back.tolist() == [True, False, True], f"{back!r}"
    assert not back.flags.writeable, "read-only"


@pytest.mark.parametrize("value", [(), np.zeros(0, np.int16)])
def test_empty_arrays_keep_the_type_of_their_items(value: Any) -> None:
    back = read_value(Cursor(memoryview(encode_value(value))), "k")
    assert value_type(back) == value_type(value), f"{value!r} came back as {back!r}"


@pytest.mark.parametrize(
    "value",
    [7, 1.5, None, b"raw", ["a"], ("a", 1), np.float16(1), np.complex64(1), np.zeros((2, 2), "u1"),
     np.array(["a"]), np.array(7, np.uint8), np.array([None]), np.datetime64("2026-01-01")],
    ids=repr,
)  # fmt: skip
def test_what_does_not_say_its_type_is_refused(value: Any) -> None:
    with pytest.raises(GgufError, match=r"np\.uint32\(7\)") as caught:
        encode_value(value)
    assert caught.value.code == "bad_value_type", caught.value.code


def test_half_a_surrogate_pair_is_refused() -> None:
    with pytest.raises(GgufError, match="whole characters"):
        encode_value("\ud800")
