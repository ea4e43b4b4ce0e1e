"""Reading a ``.gguf`` file, from a stranger, in time and memory bounded by its size.

Every offset must be what eq. (1) of `refquant.formats.gguf.layout` says: so no two tensors overlap,
nothing hides between them, and after the last one there is nothing but its padding, which may be
missing, because some writers leave it out::

    | fields, each as long as it says | padding | tensor | padding | tensor | (padding) |
    0                                 e         d                                      end

Versions 2 and 3 are read, 3 in both byte orders: a big-endian file has the same magic, and says 3
in its own order. What padding holds is not looked at. A file that another process cuts while it is
mapped is beyond what any check can see.

References
----------
ggml ``docs/gguf.md``; ``src/gguf.cpp``, ``gguf_init_from_reader``, for order and offsets.
"""

import mmap
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from refquant.formats.ggml.types import GgmlType
from refquant.formats.gguf.cursor import AGAIN, ByteOrder, Cursor, shown
from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.layout import (
    ALIGNMENT,
    ALIGNMENT_KEY,
    MAGIC,
    aligned,
    alignment_of,
    check_key,
)
from refquant.formats.gguf.tensor import (
    GgufTensor,
    check_name,
    check_rank,
    stored_type,
    tensor_bytes,
)
from refquant.formats.gguf.values import Value, read_value

__all__ = ["GgufFile", "parse_gguf", "read_gguf"]

_LEAST_KEY = 8 + 1 + 4 + 1  # a one-byte name, a one-byte value
_LEAST_TENSOR = 8 + 1 + 4 + 8 + 4 + 8  # a one-byte name, one axis


@dataclass(frozen=True, slots=True, eq=False)
class GgufFile:
    """What a file says; ``metadata`` and ``tensors`` are in the order of the file."""

    version: int
    byte_order: ByteOrder
    alignment: int
    metadata: Mapping[str, Value]
    tensors: Mapping[str, GgufTensor]


class _Info(NamedTuple):
    """A tensor's description, and where it stands."""

    name: str
    shape: tuple[int, ...]
    type: GgmlType
    size: int
    offset: int
    offset_at: int


def read_gguf(path: str | os.PathLike[str]) -> GgufFile:
    """Return what the file ``path`` says; its tensors are views of the mapped file.

    Any fault, a missing or unreadable file included, is a `GgufError` that begins with the path.

    >>> import tempfile
    >>> from refquant.formats.gguf.write import gguf_bytes
    >>> with tempfile.NamedTemporaryFile(suffix=".gguf") as file:
    ...     written = file.write(gguf_bytes({"general.architecture": "llama"}, []))
    ...     file.flush()
    ...     read_gguf(file.name).metadata["general.architecture"]
    'llama'
    """
    try:
        with open(path, "rb") as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):  # a pipe would block, a device never end
                raise OSError("not a regular file")
            empty = status.st_size == 0  # which cannot be mapped
            data = b"" if empty else mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise GgufError(
            f"{path}: cannot read: {reason}",
            "give the path of a .gguf file that this user may read",
            code="unreadable",
        ) from error
    return parse_gguf(data, name=str(path))


def parse_gguf(data: bytes | mmap.mmap, *, name: str) -> GgufFile:
    """Return what the file whose bytes are ``data`` says; ``name`` is what errors call it.

    >>> parse_gguf(b"GGUF" + bytes([3, 0, 0, 0]) + bytes(16), name="f").tensors
    mappingproxy({})
    >>> parse_gguf(b"PK", name="f")  # doctest: +ELLIPSIS
    Traceback (most recent call last):
    ...
    refquant.formats.gguf.errors.GgufError: f: byte 0: the magic takes 4 bytes, 2 are left; ...
    """
    try:
        return _parse(memoryview(data))
    except GgufError as error:
        raise error.within(name) from None


def _parse(data: memoryview) -> GgufFile:
    cursor = Cursor(data)
    version = _version(cursor)
    tensors = cursor.count("tensors", least=_LEAST_TENSOR)
    keys = cursor.count("keys", least=_LEAST_KEY)
    metadata = _metadata(cursor, keys)
    alignment = alignment_of(metadata.get(ALIGNMENT_KEY, ALIGNMENT))
    infos: dict[str, _Info] = {}
    for _ in range(tensors):
        at = cursor.position
        info = _info(cursor)
        if info.name in infos:
            raise GgufError(
                f"there are two tensors {shown(info.name)}",
                "rename one",
                code="duplicate_tensor",
                offset=at,
            )
        infos[info.name] = info
    placed = _placed(cursor, list(infos.values()), alignment)
    return GgufFile(
        version, cursor.byte_order, alignment, MappingProxyType(metadata), MappingProxyType(placed)
    )


def _version(cursor: Cursor) -> int:
    """Read magic and version; the version tells the byte order."""
    magic = bytes(cursor.take(4, "the magic"))
    if magic != MAGIC:
        remedy = "give a .gguf file"
        if magic == MAGIC[::-1]:
            remedy = "the file's words are swapped; copy it as bytes"
        raise GgufError(
            f"the magic is {MAGIC!r}, got {magic!r}", remedy, code="bad_magic", offset=0
        )
    raw = bytes(cursor.take(4, "the version"))
    little, big = int.from_bytes(raw, "little"), int.from_bytes(raw, "big")
    if big == 3:
        cursor.byte_order = "big"
        return 3
    if little in (2, 3):
        return little
    remedy = "it is newer than this reader; convert it to version 3"
    if little in (0, 1) or big in (1, 2):
        remedy = "no reader has it any more; convert the original model again"
    raise GgufError(
        f"the version is 2 or 3, got {min(little, big)}", remedy, code="bad_version", offset=4
    )


def _metadata(cursor: Cursor, count: int) -> dict[str, Value]:
    metadata: dict[str, Value] = {}
    for index in range(count):
        at = cursor.position
        key = cursor.string(f"the name of key {index}")
        check_key(key, offset=at)
        if key in metadata:
            raise GgufError(
                f"there are two keys {shown(key)}", "keep one", code="duplicate_key", offset=at
            )
        at = cursor.position
        metadata[key] = read_value(cursor, key)
        if key == ALIGNMENT_KEY:
            alignment_of(metadata[key], offset=at)
    return metadata


def _info(cursor: Cursor) -> _Info:
    at = cursor.position
    name = cursor.string("a tensor's name")
    check_name(name, offset=at)
    at = cursor.position
    rank = cursor.unsigned(4, f"the number of axes of tensor {shown(name)}")
    check_rank(rank, name=name, offset=at)
    lengths = [cursor.unsigned(8, f"an axis of tensor {shown(name)}") for _ in range(rank)]
    shape = tuple(reversed(lengths))
    type_at = cursor.position
    number = cursor.unsigned(4, f"the type of tensor {shown(name)}")
    kind = stored_type(number, name=name, offset=type_at)
    size = tensor_bytes(shape, kind, name=name, offset=at)
    at = cursor.position
    return _Info(name, shape, kind, size, cursor.unsigned(8, f"the offset of {shown(name)}"), at)


def _placed(cursor: Cursor, infos: list[_Info], alignment: int) -> dict[str, GgufTensor]:
    """Return the tensors where the layout has them, within the bytes that there are."""
    end = cursor.position
    start = aligned(end, alignment)
    placed = {}
    expected = 0
    for info in infos:
        _check_offset(info, expected, alignment)
        begin = start + info.offset
        end = begin + info.size
        if end > cursor.end:
            raise GgufError(
                f"tensor {shown(info.name)} ends at byte {end}, the file at {cursor.end}",
                AGAIN,
                code="truncated",
                offset=info.offset_at,
            )
        data = np.frombuffer(cursor.data[begin:end], np.uint8)
        placed[info.name] = GgufTensor(info.name, info.shape, info.type, data, cursor.byte_order)
        expected = aligned(info.offset + info.size, alignment)
    if cursor.end > start + expected:
        raise GgufError(
            f"the content ends at byte {start + expected}, padding included, "
            f"the file at {cursor.end}",
            "remove what was appended, or copy the file again",
            code="trailing_bytes",
            offset=start + expected,
        )
    return placed


def _check_offset(info: _Info, expected: int, alignment: int) -> None:
    if info.offset == expected:
        return
    fault = "overlaps the one before" if info.offset < expected else "leaves a hole"
    if info.offset % alignment:
        fault = f"is no multiple of {alignment}"
    raise GgufError(
        f"tensor {shown(info.name)} has offset {info.offset}, expected {expected}: it {fault}",
        "write the file again, tensors in the order of their descriptions",
        code="bad_offset",
        offset=info.offset_at,
    )
