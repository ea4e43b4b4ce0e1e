"""The outer layer of a `.rq` file: a safetensors file, strictly.

(docs/spec/rq-format.md, section 1.) Eight bytes of length, a JSON header, the tensors::

    H (u64, little-endian) | {"__metadata__": {...}, "w": {"dtype", "shape", "data_offsets"}} | data

Nothing is allocated by a number that has not been compared with the bytes at hand, and the extents
of the tensors partition the data: no hole, no overlap, no byte before, between or after.

Source: https://github.com/huggingface/safetensors, README "Format".
"""

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from refquant.model.rq_json import dumps, loads

__all__ = [
    "MAX_HEADER",
    "MAX_RANK",
    "ContainerError",
    "decode",
    "encode",
    "little_endian",
    "physical_name",
    "short",
]

MAX_HEADER = 100_000_000
MAX_RANK = 6
_ALIGNMENT = 64
_METADATA = "__metadata__"
_TYPES: Mapping[str, np.dtype[Any]] = {
    "I64": np.dtype("<i8"),
    "F32": np.dtype("<f4"),
    "I32": np.dtype("<i4"),
    "I16": np.dtype("<i2"),
    "U16": np.dtype("<u2"),
    "I8": np.dtype("i1"),
    "U8": np.dtype("u1"),
}
_NAMES: Mapping[str, str] = {t.newbyteorder("=").name: name for name, t in _TYPES.items()}


class ContainerError(ValueError):
    """The bytes are not such a file; the message names the field or tensor, rule and remedy."""


class _Entry(NamedTuple):
    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int


def physical_name(dtype: np.dtype[Any]) -> str:
    """Return the safetensors name of a NumPy dtype: ``"F32"`` for float32."""
    if dtype.name not in _NAMES:
        raise ContainerError(f"a tensor's dtype is one of {sorted(_NAMES)}, got {dtype.name}")
    return _NAMES[dtype.name]


def encode(tensors: Mapping[str, NDArray[Any]], metadata: Mapping[str, str]) -> Iterator[bytes]:
    """Yield the file in pieces: head, then each tensor. The same content gives the same bytes."""
    order = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    header: dict[str, Any] = {_METADATA: dict(metadata)}
    offset = 0
    for name in order:
        array = tensors[name]
        if name == _METADATA:
            raise ContainerError(f"a tensor cannot be named {_METADATA!r}; rename it")
        header[name] = {
            "dtype": physical_name(array.dtype),
            "shape": list(array.shape),
            "data_offsets": [offset, offset + array.nbytes],
        }
        offset += array.nbytes
    text = _header_text(header, order)
    yield len(text).to_bytes(8, "little") + text
    for name in order:
        yield little_endian(tensors[name])


def little_endian(array: NDArray[Any]) -> bytes:
    """Return the bytes of ``array`` as they stand in a file: row-major, little-endian."""
    return array.astype(_TYPES[physical_name(array.dtype)], copy=False).tobytes()


def _header_text(header: Mapping[str, Any], order: list[str]) -> bytes:
    # Metadata first, then the tensors as they lie in the file: what other writers do, too.
    parts = (f"{dumps(key)}:{dumps(header[key])}" for key in (_METADATA, *order))
    text = ("{" + ",".join(parts) + "}").encode("utf-8")
    text += b" " * (-(8 + len(text)) % _ALIGNMENT)
    if len(text) > MAX_HEADER:
        raise ContainerError(f"the header is at most {MAX_HEADER} bytes, got {len(text)}")
    return text


def decode(data: bytes) -> tuple[dict[str, str], dict[str, NDArray[Any]]]:
    """Return (metadata, tensors) of a file's bytes; the tensors are read-only views of ``data``."""
    start, header = _header(data)
    metadata = header.pop(_METADATA, None)
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        raise ContainerError(f"header {_METADATA!r} is an object of strings; write the file again")
    entries = sorted((_entry(name, fields) for name, fields in header.items()), key=_place)
    _check_extents(entries, len(data) - start)
    return metadata, {e.name: _view(data, start, e) for e in entries}


def _header(data: bytes) -> tuple[int, dict[str, Any]]:
    if len(data) < 8:
        raise ContainerError(
            f"truncated: the head is 8 bytes, the file has {len(data)}; copy it again"
        )
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= MAX_HEADER:
        raise ContainerError(f"header length is 2 to {MAX_HEADER}, got {length}; give a .rq file")
    start = 8 + length
    if start > len(data):
        raise ContainerError(
            f"truncated: the header ends at byte {start}, the file at {len(data)}; copy it again"
        )
    if start % _ALIGNMENT:
        raise ContainerError(
            f"the header ends at a multiple of {_ALIGNMENT}, got {start}; pad it with spaces"
        )
    if data[8:9] != b"{":
        raise ContainerError("the header's first byte is '{'; this is not a .rq file")
    try:
        text = data[8:start].decode("utf-8")
    except UnicodeDecodeError as error:
        raise ContainerError(f"the header is UTF-8: {error}; copy the file again") from None
    if not text.rstrip(" ").endswith("}"):
        raise ContainerError("the header ends with '}' and spaces; write the file again")
    header: dict[str, Any] = loads(text)
    return start, header


def _entry(name: str, fields: Any) -> _Entry:
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise ContainerError(
            f"tensor {name!r} has exactly the fields dtype, shape, data_offsets, got "
            f"{short(sorted(fields) if isinstance(fields, dict) else fields)}"
        )
    dtype, shape, offsets = fields["dtype"], fields["shape"], fields["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise ContainerError(
            f"tensor {name!r}: dtype is one of {sorted(_TYPES)}, got {short(dtype)}"
        )
    if not _counts(shape, MAX_RANK):  # the limit also bounds the time of the product below
        raise ContainerError(
            f"tensor {name!r}: shape is a list of at most {MAX_RANK} integers >= 0, "
            f"got {short(shape)}"
        )
    if not _counts(offsets, 2) or len(offsets) != 2:
        raise ContainerError(f"tensor {name!r}: data_offsets is [begin, end], got {short(offsets)}")
    begin, end = offsets
    size = math.prod(shape) * _TYPES[dtype].itemsize  # Python integers: no overflow
    if end - begin != size:
        raise ContainerError(
            f"tensor {name!r}: {dtype} of shape {shape} takes {size} bytes, "
            f"data_offsets {offsets} give {end - begin}"
        )
    return _Entry(name, _TYPES[dtype], tuple(shape), begin, end)


def _counts(item: Any, most: int) -> bool:
    if not isinstance(item, list) or len(item) > most:
        return False
    return all(type(i) is int and i >= 0 for i in item)


def short(item: Any) -> str:
    """Return ``repr(item)``, cut: a message does not repeat a megabyte of nonsense."""
    text = repr(item)
    return text if len(text) <= 80 else text[:77] + "..."


def _place(entry: _Entry) -> tuple[int, int, int, str]:
    return entry.begin, entry.end, *_rank(entry)


def _rank(entry: _Entry) -> tuple[int, str]:
    return -entry.dtype.itemsize, entry.name


def _check_extents(entries: list[_Entry], size: int) -> None:
    end = 0
    for entry in entries:
        if entry.begin != end:
            fault = "overlaps" if entry.begin < end else "leaves a hole before"
            raise ContainerError(
                f"tensor {entry.name!r} begins at {entry.begin}, the one before ends at {end}: "
                f"it {fault} its place; tensors are contiguous"
            )
        end = entry.end
    if end != size:
        fault = "truncated" if end > size else "trailing bytes"
        raise ContainerError(
            f"{fault}: the tensors end at data byte {end}, the file at {size}; copy it again"
        )
    for before, entry in pairwise(entries):
        if _rank(before) > _rank(entry):
            raise ContainerError(
                f"tensor {entry.name!r} is out of order: larger elements first, then by name"
            )


def _view(data: bytes, start: int, entry: _Entry) -> NDArray[Any]:
    count = math.prod(entry.shape)
    flat = np.frombuffer(data, entry.dtype, count, start + entry.begin)
    try:
        array = flat.reshape(entry.shape)
    except ValueError as error:  # no element, but a shape that NumPy cannot represent
        raise ContainerError(f"tensor {entry.name!r}: shape {entry.shape}: {error}") from None
    return array.astype(entry.dtype.newbyteorder("="), copy=False)
