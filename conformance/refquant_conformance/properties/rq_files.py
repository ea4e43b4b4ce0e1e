"""``.rq`` files with something changed: the graph is JSON text in the header, and can be edited.

::

    u64 size | {"__metadata__": {"format", "graph": "{...}", "sha256": "{...}"}, "b": {...}} | data
"""

import hashlib
import json
import struct
from collections.abc import Callable
from functools import cache
from typing import Any

from refquant.contracts import preset
from refquant.model.rq import rq_bytes
from refquant_conformance.adapters.rq_graphs import graph_of
from refquant_conformance.adapters.samples import sample

__all__ = ["edited", "long_row", "seed_of"]

Graph = dict[str, Any]


@cache
def seed_of(op: str) -> bytes:
    """Return a valid file of one operator.

    >>> len(seed_of("qlinear_conv")) > 100
    True
    """
    return rq_bytes(graph_of(sample(op, "u8_i8"), preset("ort")))


def _text(value: object) -> str:
    return json.dumps(value, separators=(",", ":"), sort_keys=True)


def edited(data: bytes, change: Callable[[Graph], object]) -> bytes:
    """Return the file whose graph is what ``change`` makes of it, in place.

    >>> edited(seed_of("qlinear_matmul"), lambda graph: None) == seed_of("qlinear_matmul")
    True
    """
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    graph = json.loads(header["__metadata__"]["graph"])
    change(graph)
    header["__metadata__"]["graph"] = _text(graph)
    return _file(header, data[8 + size :])


def _file(header: dict[str, Any], body: bytes) -> bytes:
    text = _text(header).encode()
    text += b" " * (-(8 + len(text)) % 64)
    return struct.pack("<Q", len(text)) + text + body


def long_row(count: int) -> bytes:
    """Return the file of one sum of ``count`` products of 255 and 127."""
    data = seed_of("qlinear_matmul")
    (size,) = struct.unpack_from("<Q", data)
    header = json.loads(data[8 : 8 + size])
    graph = json.loads(header["__metadata__"]["graph"])
    for name, shape in (("a", [1, count]), ("b", [count, 1]), ("y", [1, 1])):
        graph["values"][name]["shape"] = shape
    graph["values"]["a"]["quant"]["zero_point"] = 0
    body = b"\x7f" * count
    header["b"] = {"dtype": "I8", "shape": [count, 1], "data_offsets": [0, count]}
    header["__metadata__"]["graph"] = _text(graph)
    header["__metadata__"]["sha256"] = _text({"b": hashlib.sha256(body).hexdigest()})
    return _file(header, body)
