"""The container of a ``.rq`` file: safetensors bytes to named arrays, nothing trusted.

Follows ``docs/spec/rq-format.md`` section 1. Every length is compared with the bytes that are
there before anything is sliced; arrays are views of the mapped file, so memory is bounded by the
file's size. The graph inside is read by :mod:`refquant_runtime.read_graph`.
"""

import hashlib
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import FormatError
from refquant_runtime.strict_json import parse_json

__all__ = ["Container", "read_container"]

FORMATS = ("refquant/1", "refquant/2")
MAX_HEADER = 100_000_000
MAX_RANK = 6
DTYPES: Mapping[str, Any] = {
    "I64": np.int64,
    "F32": np.float32,
    "I32": np.int32,
    "I16": np.int16,
    "U16": np.uint16,
    "I8": np.int8,
    "U8": np.uint8,
}
REWRITE = "write the file again"


@dataclass(frozen=True)
class Container:
    """Tensors by name (read-only views) and the graph's JSON, already parsed."""

    path: Path
    tensors: Mapping[str, NDArray[Any]]
    graph: Mapping[str, Any]
    version: str
    sha256: str  # of the whole file: names the model in caches and reports
    nbytes: int


class _Entry(NamedTuple):
    name: str
    dtype: Any
    shape: tuple[int, ...]
    begin: int
    end: int


def read_container(path: str | os.PathLike[str]) -> Container:
    """Map the file and return its checked content; any fault is a :class:`FormatError`."""
    where = Path(path)
    data = _map(where)
    if len(data) < 8:
        _fail(where, "header", f"only {len(data)} bytes", "the file is truncated: copy it again")
    length = int.from_bytes(data[:8], "little")
    if not 2 <= length <= MAX_HEADER or 8 + length > len(data):
        _fail(
            where,
            "header",
            f"its length says {length}, the file has {len(data)} bytes",
            "the file is truncated or not a .rq file: copy it again, or give another",
        )
    if (8 + length) % 64:
        _fail(where, "header", "is not padded to a multiple of 64 bytes", REWRITE)
    if data[8:9] != b"{":
        _fail(where, "header", "does not start with '{'", "this is not a .rq file: give one")
    text = bytes(data[8 : 8 + length])
    if not text.rstrip(b" ").endswith(b"}"):
        _fail(where, "header", "is not padded with spaces after its '}'", REWRITE)
    header = _object(where, "header", text)
    metadata = _metadata(where, header.pop("__metadata__", None))
    body = memoryview(data)[8 + length :]
    tensors = _tensors(where, header, body)
    _check_digests(where, tensors, _object(where, "sha256", metadata["sha256"].encode()))
    graph = _object(where, "graph", metadata["graph"].encode())
    digest = hashlib.sha256(data).hexdigest()
    return Container(where, tensors, graph, metadata["format"], digest, len(data))


def _object(path: Path, where: str, text: bytes) -> dict[str, Any]:
    try:
        return parse_json(text)
    except ValueError as error:
        problem = f"not valid JSON ({error})"
        _fail(path, where, problem, "the file is damaged: copy or write it again")


def _map(path: Path) -> "bytes | mmap.mmap":
    try:
        if not path.is_file():
            found = "is a directory" if path.is_dir() else "is not a regular file"
            reason = found if path.exists() else "no such file"
            _fail(path, "file", reason, "give the path of a .rq file")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) if size else b""
    except (OSError, ValueError) as error:
        if isinstance(error, FormatError):
            raise
        _fail(path, "file", f"cannot be read ({error})", "check the path and its permissions")


def _metadata(path: Path, metadata: Any) -> dict[str, str]:
    expected = {"format", "graph", "sha256"}
    if not isinstance(metadata, dict) or not all(isinstance(v, str) for v in metadata.values()):
        _fail(
            path,
            "__metadata__",
            "is missing or not a map of strings",
            "this is not a .rq file: give one",
        )
    if (version := metadata.get("format")) not in FORMATS:
        problem = f"{version!r:.60} is none of {list(FORMATS)}"
        _fail(path, "format", problem, "use a runtime that reads it")
    if set(metadata) != expected:
        odd = sorted(set(metadata) ^ expected)
        _fail(path, "__metadata__", f"unknown or missing keys {odd}", REWRITE)
    return metadata


def _tensors(path: Path, header: dict[str, Any], body: memoryview) -> dict[str, NDArray[Any]]:
    """Return every tensor as a view; sorted by offset they fill the body, in the order written."""
    tensors: dict[str, NDArray[Any]] = {}
    entries = [_entry(path, name, info) for name, info in header.items()]
    end, before = 0, (-8, "")
    for entry in sorted(entries, key=lambda e: (e.begin, e.end, _rank(e))):
        where = f"tensor {entry.name!r}"
        if entry.begin != end:
            word = "overlaps the one before it" if entry.begin < end else "leaves a hole before it"
            _fail(path, where, f"{word} (begins at {entry.begin}, expected {end})", REWRITE)
        if _rank(entry) < before:
            _fail(path, where, "is out of order: larger elements first, then by name", REWRITE)
        tensors[entry.name] = _view(path, entry, body)
        end, before = entry.end, _rank(entry)
    if end != len(body):
        _fail(path, "tensors", f"end at byte {end} of {len(body)}", "remove the trailing bytes")
    return tensors


def _rank(entry: _Entry) -> tuple[int, str]:
    return -np.dtype(entry.dtype).itemsize, entry.name


def _view(path: Path, entry: _Entry, body: memoryview) -> NDArray[Any]:
    where = f"tensor {entry.name!r}"
    size = math.prod(entry.shape) * np.dtype(entry.dtype).itemsize
    if entry.end > len(body) or entry.end - entry.begin != size:
        _fail(
            path,
            where,
            f"bytes {entry.begin} to {entry.end} of {len(body)} cannot hold {size} bytes of "
            f"{list(entry.shape)}",
            "the file is truncated or damaged: copy it again",
        )
    flat: NDArray[Any] = np.frombuffer(body[entry.begin : entry.end], entry.dtype)
    try:
        return flat.reshape(entry.shape)
    except ValueError as error:  # no element, but sizes that no array can have
        _fail(path, where, f"shape {list(entry.shape)}: {error}", REWRITE)


def _entry(path: Path, name: str, info: Any) -> _Entry:
    where = f"tensor {name!r}"
    if not isinstance(info, dict) or set(info) != {"dtype", "shape", "data_offsets"}:
        _fail(path, where, "needs exactly dtype, shape and data_offsets", REWRITE)
    if not isinstance(info["dtype"], str) or info["dtype"] not in DTYPES:
        _fail(path, where, f"dtype {info['dtype']!r:.60} is none of {sorted(DTYPES)}", REWRITE)
    shape, offsets = info["shape"], info["data_offsets"]
    if not _is_sizes(shape) or len(shape) > MAX_RANK:
        problem = f"shape {shape!r:.60} is not a list of at most {MAX_RANK} sizes"
        _fail(path, where, problem, REWRITE)
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _fail(path, where, f"data_offsets {offsets!r:.60} is not [begin, end]", REWRITE)
    return _Entry(name, DTYPES[info["dtype"]], tuple(shape), offsets[0], offsets[1])


def _is_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(type(v) is int and v >= 0 for v in value)


def _check_digests(
    path: Path, tensors: Mapping[str, NDArray[Any]], digests: dict[str, Any]
) -> None:
    if set(digests) != set(tensors):
        odd = sorted(set(digests) ^ set(tensors))
        _fail(path, "sha256", f"does not name the file's tensors (differ: {odd[:3]})", REWRITE)
    for name, array in tensors.items():
        actual = hashlib.sha256(array.tobytes()).hexdigest()
        if digests[name] != actual:
            _fail(
                path,
                f"tensor {name!r}",
                "its bytes do not have the recorded SHA-256",
                "the file is damaged: copy it again",
            )


def _fail(path: Path, where: str, problem: str, remedy: str) -> NoReturn:
    raise FormatError(path, where, problem, remedy)
