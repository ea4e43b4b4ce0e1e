r"""Metadata values: numbers, truth values, texts, and arrays of one of these.

A value in a file carries its type, and so does ours, because it is NumPy's or Python's::

    id  name     bytes  here                     id  name     bytes   here
     0  uint8      1    np.uint8                  7  bool       1     bool (0 or 1, nothing else)
     1  int8       1    np.int8                   8  string   8 + n   str
     2  uint16     2    np.uint16                 9  array     12 +   array of numbers: np.ndarray
     3  int16      2    np.int16                                      array of strings: tuple of str
     4  uint32     4    np.uint32                10  uint64     8     np.uint64
     5  int32      4    np.int32                 11  int64      8     np.int64
     6  float32    4    np.float32               12  float64    8     np.float64

    array:  | item id u32 | length u64 | item | item | ... |

A Python ``int`` or ``float`` is refused: it does not say which of ten types it is. Left out: arrays
of arrays. The text of the format allows them, llama.cpp reads none, and no writer makes them.

References
----------
ggml ``docs/gguf.md``, ``gguf_metadata_value_type``; ggml ``src/gguf.cpp`` for what is refused.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.gguf.cursor import Cursor, shown
from refquant.formats.gguf.errors import GgufError

__all__ = ["VALUE_TYPES", "Value", "encode_string", "encode_value", "read_value", "value_type"]

Value = np.generic | bool | str | NDArray[Any] | tuple[str, ...]

_NAMES = (
    *("uint8", "int8", "uint16", "int16", "uint32", "int32", "float32", "bool", "string"),
    *("array", "uint64", "int64", "float64"),
)
VALUE_TYPES: Mapping[int, str] = MappingProxyType(dict(enumerate(_NAMES)))
"""The name of every type, by the number that stands in a file."""

_IDS = {name: number for number, name in VALUE_TYPES.items()}
_NUMBERS = {
    name: np.dtype(name) for name in VALUE_TYPES.values() if name not in ("string", "array", "bool")
}


def value_type(value: Value) -> tuple[str, str | None]:
    """Return the type of ``value``, and of its items if it is an array.

    >>> value_type(np.uint32(7)), value_type(("a", "b")), value_type(np.zeros(3, np.int8))
    (('uint32', None), ('array', 'string'), ('array', 'int8'))
    """
    if isinstance(value, bool | np.bool_):
        return "bool", None
    if isinstance(value, str):
        return "string", None
    if isinstance(value, tuple) and all(isinstance(item, str) for item in value):
        return "array", "string"
    if isinstance(value, np.generic | np.ndarray):
        name = value.dtype.name
        if isinstance(value, np.ndarray):
            if value.ndim == 1 and (name == "bool" or name in _NUMBERS):
                return "array", name
        elif name in _NUMBERS:
            return name, None
    kind = f"{value.dtype} of {value.ndim} axes" if isinstance(value, np.ndarray) else type(value)
    raise GgufError(
        f"a value is a bool, a str, a tuple of str, or a NumPy number or vector of "
        f"{', '.join(_NUMBERS)}; got {kind}",
        "say its type, as in np.uint32(7)",
        code="bad_value_type",
    )


def encode_string(text: str) -> bytes:
    """Return the bytes of a string: length, then UTF-8.

    >>> encode_string("ab").hex(" ")
    '02 00 00 00 00 00 00 00 61 62'
    """
    try:
        raw = text.encode("utf-8")
    except UnicodeEncodeError as error:  # half of a surrogate pair
        raise GgufError(
            f"{shown(text)} is not UTF-8: {error.reason}", "give whole characters", code="bad_utf8"
        ) from None
    return len(raw).to_bytes(8, "little") + raw


def encode_value(value: Value) -> bytes:
    """Return the bytes of ``value``, little-endian: the id of its type, then itself.

    >>> encode_value(np.uint16(7)).hex(" "), encode_value(True).hex(" ")
    ('02 00 00 00 07 00', '07 00 00 00 01')
    """
    name, item = value_type(value)
    head = _IDS[name].to_bytes(4, "little")
    if isinstance(value, str):
        return head + encode_string(value)
    if item is None:
        return head + _little(np.asarray(value))
    length = len(value)  # type: ignore[arg-type]  # value_type: a tuple or a vector
    head += _IDS[item].to_bytes(4, "little") + length.to_bytes(8, "little")
    if isinstance(value, tuple):
        return head + b"".join(map(encode_string, value))
    return head + _little(np.asarray(value))


def read_value(cursor: Cursor, key: str) -> Value:
    """Return the value at ``cursor``, of the metadata key ``key``; arrays are read-only.

    >>> read_value(Cursor(memoryview(encode_value(("a", "")))), "k")
    ('a', '')
    """
    name = _type_name(cursor, f"key {shown(key)}")
    if name != "array":
        return _scalar(cursor, name, key)
    at = cursor.position
    item = _type_name(cursor, f"the items of key {shown(key)}")
    if item == "array":
        raise GgufError(
            f"key {shown(key)} is an array of arrays",
            "llama.cpp reads none either; write it as one flat array",
            code="nested_array",
            offset=at,
        )
    what = f"items of key {shown(key)}"
    if item == "string":
        length = cursor.count(what, least=8)
        return tuple(cursor.string(f"item {i} of key {shown(key)}") for i in range(length))
    dtype = np.dtype(np.uint8) if item == "bool" else _NUMBERS[item]
    length = cursor.count(what, least=dtype.itemsize)
    begin = cursor.position
    array = _numbers(cursor, dtype, length, what)
    if item == "bool":
        _check_bools(array, begin, key)
        array = array.astype(np.bool_)
    array.flags.writeable = False
    return array


def _scalar(cursor: Cursor, name: str, key: str) -> Value:
    what = f"the value of key {shown(key)}"
    if name == "string":
        return cursor.string(what)
    begin = cursor.position
    dtype = np.dtype(np.uint8) if name == "bool" else _NUMBERS[name]
    array = _numbers(cursor, dtype, 1, what)
    if name == "bool":
        _check_bools(array, begin, key)
        return bool(array[0])
    number: np.generic = array[0]
    return number


def _numbers(cursor: Cursor, dtype: np.dtype[Any], length: int, what: str) -> NDArray[Any]:
    raw = cursor.take(length * dtype.itemsize, what)
    stored = dtype.newbyteorder(cursor.byte_order)
    return np.array(np.frombuffer(raw, stored), dtype)  # a copy, aligned


def _check_bools(array: NDArray[Any], begin: int, key: str) -> None:
    wrong = np.flatnonzero(array > 1)
    if wrong.size:
        at = int(wrong[0])
        raise GgufError(
            f"a bool of key {shown(key)} is 0 or 1, got {int(array[at])}",
            "correct what wrote the file, and write it again",
            code="bad_bool",
            offset=begin + at,
        )


def _type_name(cursor: Cursor, what: str) -> str:
    at = cursor.position
    number = cursor.unsigned(4, f"the type of {what}")
    if number not in VALUE_TYPES:
        known = ", ".join(f"{n} {name}" for n, name in VALUE_TYPES.items())
        raise GgufError(
            f"the type of {what} is {number}, the types are {known}",
            "the file is damaged, or newer than this reader; copy or convert it again",
            code="bad_value_type",
            offset=at,
        )
    return VALUE_TYPES[number]


def _little(array: NDArray[Any]) -> bytes:
    return array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
