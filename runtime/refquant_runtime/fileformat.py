"""The container of a ``.rq`` file: safetensors bytes to named arrays, nothing trusted.

Follows ``docs/spec/rq-format.md`` section 1. Every length is compared with the bytes that are
there before anything is sliced; arrays are views of the mapped file, so memory is bounded by the
file's size. The graph inside is read by :mod:`refquant_runtime.graph`.
"""

import hashlib
import json
import math
import mmap
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import FormatError

__all__ = ["Container", "parse_json", "read_container"]

FORMAT = "refquant/1"
MAX_HEADER = 100_000_000
MAX_DEPTH = 32
DTYPES: Mapping[str, Any] = {
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
    sha256: str  # of the whole file: names the model in caches and reports


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
            "the file is truncated or not a .rq file",
        )
    if (8 + length) % 64:
        _fail(where, "header", "is not padded to a multiple of 64 bytes", REWRITE)
    if data[8:9] != b"{":
        _fail(where, "header", "does not start with '{'", "this is not a .rq file")
    header = parse_json(where, "header", bytes(data[8 : 8 + length]))
    metadata = _metadata(where, header.pop("__metadata__", None))
    body = memoryview(data)[8 + length :]
    tensors = _tensors(where, header, body)
    _check_digests(where, tensors, parse_json(where, "sha256", metadata["sha256"].encode()))
    graph = parse_json(where, "graph", metadata["graph"].encode())
    return Container(where, tensors, graph, hashlib.sha256(data).hexdigest())


def parse_json(path: Path, where: str, text: bytes) -> dict[str, Any]:
    """Parse one JSON object strictly: no duplicate keys, NaN, deep nesting or giant integers."""

    def pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
        result = dict(items)
        if len(result) != len(items):
            names = [key for key, _ in items]
            twice = next(key for key in names if names.count(key) > 1)
            raise ValueError(f"duplicate key {twice!r}")
        return result

    def constant(name: str) -> NoReturn:
        raise ValueError(f"{name} is not JSON")

    def integer(digits: str) -> int:
        value = int(digits) if len(digits) <= 20 else 2**64
        if not -(2**63) <= value < 2**63:
            raise ValueError(f"integer {digits[:24]} needs more than 64 bits")
        return value

    if _depth(text) > MAX_DEPTH:
        _fail(path, where, f"JSON nested deeper than {MAX_DEPTH}", REWRITE)
    try:
        value = json.loads(
            text.decode("utf-8"),
            object_pairs_hook=pairs,
            parse_constant=constant,
            parse_int=integer,
        )
    except ValueError as error:  # includes JSONDecodeError and UnicodeDecodeError
        _fail(
            path, where, f"not valid JSON ({error})", "the file is damaged: copy or write it again"
        )
    if not isinstance(value, dict):
        _fail(path, where, "is not a JSON object", REWRITE)
    return value


def _map(path: Path) -> "bytes | mmap.mmap":
    try:
        if not path.is_file():
            reason = "is a directory" if path.is_dir() else "no such file"
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
        _fail(path, "__metadata__", "is missing or not a map of strings", "this is not a .rq file")
    if (version := metadata.get("format")) != FORMAT:
        _fail(path, "format", f"{version!r} is not {FORMAT!r}", "use a runtime that reads it")
    if set(metadata) != expected:
        odd = sorted(set(metadata) ^ expected)
        _fail(path, "__metadata__", f"unknown or missing keys {odd}", REWRITE)
    return metadata


def _tensors(path: Path, header: dict[str, Any], body: memoryview) -> dict[str, NDArray[Any]]:
    tensors: dict[str, NDArray[Any]] = {}
    entries = [(name, *_entry(path, name, info)) for name, info in header.items()]
    end = 0
    for name, dtype, shape, begin, stop in sorted(entries, key=lambda e: (e[3], e[4])):
        size = math.prod(shape) * np.dtype(dtype).itemsize
        if begin != end:
            word = "overlaps the one before it" if begin < end else "leaves a hole before it"
            _fail(path, f"tensor {name!r}", f"{word} (begins at {begin}, expected {end})", REWRITE)
        if stop > len(body) or stop - begin != size:
            _fail(
                path,
                f"tensor {name!r}",
                f"bytes {begin} to {stop} of {len(body)} cannot hold {size} bytes of {shape}",
                "the file is truncated or damaged: copy it again",
            )
        if begin % np.dtype(dtype).itemsize:
            _fail(path, f"tensor {name!r}", "is not aligned to its element", REWRITE)
        array: NDArray[Any] = np.frombuffer(body[begin:stop], dtype).reshape(shape)
        tensors[name] = array
        end = stop
    if end != len(body):
        _fail(path, "tensors", f"end at byte {end} of {len(body)}", "remove the trailing bytes")
    return tensors


def _entry(path: Path, name: str, info: Any) -> tuple[Any, tuple[int, ...], int, int]:
    where = f"tensor {name!r}"
    if not isinstance(info, dict) or set(info) != {"dtype", "shape", "data_offsets"}:
        _fail(path, where, "needs exactly dtype, shape and data_offsets", REWRITE)
    if not isinstance(info["dtype"], str) or info["dtype"] not in DTYPES:
        _fail(path, where, f"dtype {info['dtype']!r} is none of {sorted(DTYPES)}", REWRITE)
    shape, offsets = info["shape"], info["data_offsets"]
    if not _is_sizes(shape) or len(shape) > 8:
        _fail(path, where, f"shape {shape!r} is not a list of at most 8 sizes", REWRITE)
    if not _is_sizes(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        _fail(path, where, f"data_offsets {offsets!r} is not [begin, end]", REWRITE)
    return DTYPES[info["dtype"]], tuple(shape), offsets[0], offsets[1]


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


def _depth(text: bytes) -> int:
    """Nesting depth of brackets outside strings, without recursion."""
    depth = deepest = 0
    in_string = escaped = False
    for byte in text:
        if in_string:
            in_string = escaped or byte != 0x22
            escaped = byte == 0x5C and not escaped
        elif byte == 0x22:
            in_string = True
        elif byte in b"[{":
            depth += 1
            deepest = max(deepest, depth)
        elif byte in b"]}":
            depth -= 1
    return deepest


def _fail(path: Path, where: str, problem: str, remedy: str) -> NoReturn:
    raise FormatError(path, where, problem, remedy)
