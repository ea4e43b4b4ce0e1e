"""The `.rq` file: one model, one file, the same bytes every time.

docs/spec/rq-format.md is the text this module follows; `refquant_runtime` reads the same text
with its own code. The layers: `rq_json` (strict JSON), `rq_container` (safetensors), `rq_graph`
(JSON <-> `Graph`), `validate` (what a graph may say), and here the file itself.

Two promises. A written file is complete: it appears under its name whole or not at all. And for
any bytes whatever `read_rq` returns a valid `Graph` or raises `RqFormatError`, in memory bounded by
a multiple of the file's size (about 32 times while 4-bit codes are unpacked).
"""

import hashlib
import math
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.whole_file import whole_file
from refquant.model.graph import DTYPES, Graph
from refquant.model.operators import VERSION_2
from refquant.model.rq_container import decode, encode, little_endian, physical_name, short
from refquant.model.rq_graph import graph_from_json, graph_to_json
from refquant.model.rq_json import dumps, loads
from refquant.model.validate import constant_shape, validate
from refquant.model.validate_tables import needs_version_2
from refquant.numerics.packing import pack, unpack

__all__ = ["FORMATS", "RqFormatError", "parse_rq", "read_rq", "rq_bytes", "rq_digest",
           "write_rq"]  # fmt: skip

FORMATS = ("refquant/1", "refquant/2")
"""The versions: a file says the first that has all it needs (docs/spec/rq-format.md, section 5)."""


class RqFormatError(ValueError):
    """The file is not a valid `.rq` file; the message names file, field or tensor, and remedy."""


def write_rq(path: str | os.PathLike[str], graph: Graph) -> None:
    """Validate ``graph`` and write it to ``path``, replacing what is there in one step.

    The bytes depend on nothing but the graph. If anything fails (`GraphError` for a graph that
    means nothing, `OSError` from the disk) then ``path`` is what it was.
    """
    chunks = _chunks(graph)
    with whole_file(path) as file:
        file.writelines(chunks)


def rq_bytes(graph: Graph) -> bytes:
    """Return what `write_rq` writes."""
    return b"".join(_chunks(graph))


def rq_digest(graph: Graph) -> str:
    """Return the SHA-256, as hex digits, of what `write_rq` writes; memory is the model's alone."""
    digest = hashlib.sha256()
    for chunk in _chunks(graph):
        digest.update(chunk)
    return digest.hexdigest()


def read_rq(path: str | os.PathLike[str]) -> Graph:
    """Return the valid graph in the file ``path``; its constants are read-only arrays.

    Everything is checked, the SHA-256 of each tensor too. Any fault, a missing or unreadable file
    included, is an `RqFormatError` that begins with the path.
    """
    try:
        if not stat.S_ISREG(os.stat(path).st_mode):  # a pipe would block, a device never end
            raise OSError("not a regular file")
        data = Path(path).read_bytes()
    except (OSError, ValueError) as error:  # ValueError: a path with a NUL
        reason = getattr(error, "strerror", None) or error
        raise RqFormatError(
            f"{path}: cannot read: {reason}; give the path of a .rq file that this user may read"
        ) from error
    return parse_rq(data, name=str(path))


def parse_rq(data: bytes, *, name: str) -> Graph:
    """Return the valid graph whose file is ``data``; ``name`` is what errors call it."""
    try:
        metadata, tensors = decode(data)
        _check_metadata(metadata)
        described = graph_from_json(loads(metadata["graph"]), {})
        _check_digests(loads(metadata["sha256"]), tensors)
        constants = {key: _logical(described, key, array) for key, array in tensors.items()}
        graph = replace(described, constants=constants)
        validate(graph)
        if _version(graph) > metadata["format"]:
            raise RqFormatError(
                f"__metadata__.format is {metadata['format']!r}, the graph needs "
                f"{_version(graph)!r}: {_second(graph)}"
            )
    except ValueError as error:  # all of ours are; `from error` keeps the layer that refused
        # Rules are checked for graphs made by hand, too; of a file, the remedy is its writer's.
        remedy = "" if "; " in str(error) else "; correct what wrote the file, and write it again"
        raise RqFormatError(f"{name}: {error}{remedy}") from error
    return graph


def _chunks(graph: Graph) -> Iterator[bytes]:
    """Validate ``graph`` and return the pieces of its file."""
    validate(graph)
    tensors = {name: _physical(graph, name) for name in graph.constants}
    digests = {name: _digest(array) for name, array in tensors.items()}
    metadata = {
        "format": _version(graph),
        "graph": dumps(graph_to_json(graph)),
        "sha256": dumps(digests),
    }
    return encode(tensors, metadata)


def _version(graph: Graph) -> str:
    return FORMATS[1] if _second(graph) else FORMATS[0]


def _second(graph: Graph) -> str:
    """Say what the graph has that only version 2 has, nothing if all of it is of version 1."""
    if graph.states:
        return f"the state {graph.states[0].name!r}"
    for name, value in graph.values.items():
        if "T" in value.shape:
            return f"value {name!r} has a length T"
        if needs_version_2(graph, name):
            return f"value {name!r} has a dtype, table, g_idx or scale of version 2"
    for node in graph.nodes:
        if node.op in VERSION_2 or "approximate" in node.attributes:
            return f"node {node.name!r} ({node.op})"
        if node.op == "Softmax" and len(node.inputs) > 1:
            return f"the table of node {node.name!r} (Softmax)"
    return ""


def _physical(graph: Graph, name: str) -> NDArray[Any]:
    array, dtype = graph.constants[name], DTYPES[graph.values[name].dtype]
    return pack(array, num_bits=dtype.bits) if dtype.bits < 8 else array


def _logical(graph: Graph, name: str, array: NDArray[Any]) -> NDArray[Any]:
    """Return the constant that the stored ``array`` is, codes narrower than a byte unpacked."""
    if name not in graph.values:
        raise RqFormatError(f"tensor {name!r} is not in graph.values; describe or remove it")
    value = graph.values[name]
    shape = constant_shape(name, value)
    dtype = DTYPES[value.dtype]
    packed = dtype.bits < 8
    stored = (-(-math.prod(shape) * dtype.bits // 8),) if packed else shape
    physical = np.dtype(np.uint8) if packed else dtype.container
    if array.dtype != physical or array.shape != stored:
        raise RqFormatError(
            f"tensor {name!r}: {value.dtype} of shape {short(list(shape))} is stored as "
            f"{physical_name(physical)} {short(list(stored))}, "
            f"got {physical_name(array.dtype)} {short(list(array.shape))}"
        )
    if not packed:
        return array
    try:
        codes = unpack(array, num_bits=dtype.bits, signed=dtype.qmin < 0, shape=shape)
    except ValueError as error:
        raise RqFormatError(f"tensor {name!r}: {error}") from None
    codes.flags.writeable = False
    return codes


def _check_metadata(metadata: Mapping[str, str]) -> None:
    expected = {"format", "graph", "sha256"}
    if metadata.get("format") not in FORMATS:
        raise RqFormatError(
            f"__metadata__.format is one of {list(FORMATS)}, got {short(metadata.get('format'))}; "
            "read it with the version of refquant that wrote it"
        )
    for key in sorted(expected.symmetric_difference(metadata)):
        raise RqFormatError(
            f"__metadata__ has exactly the keys {sorted(expected)}: see {short(key)}"
        )


def _check_digests(digests: Any, tensors: Mapping[str, NDArray[Any]]) -> None:
    if not isinstance(digests, dict) or digests.keys() != tensors.keys():
        raise RqFormatError(
            "__metadata__.sha256 has one entry for each tensor; write the file again"
        )
    for name, array in tensors.items():
        if digests[name] != _digest(array):
            raise RqFormatError(
                f"tensor {name!r}: its SHA-256 is not the recorded one; "
                "the file is damaged, copy it again"
            )


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(little_endian(array)).hexdigest()
