"""The graph inside a ``.rq`` file, as values. :mod:`refquant_runtime.read_graph` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

__all__ = ["DTYPES", "DTYPE_RANGE", "SUBBYTE", "Graph", "Node", "Quant", "Value"]

Array = NDArray[Any]
DTYPE_RANGE: Mapping[str, tuple[int, int]] = {
    "int32": (-(2**31), 2**31 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int2": (-2, 1),
    "uint2": (0, 3),
}
SUBBYTE = {"int4": 4, "uint4": 4, "int2": 2, "uint2": 2}
DTYPES = ("float32", *DTYPE_RANGE)


@dataclass(frozen=True)
class Quant:
    """real = scale * (code - zero_point); arrays have one element a block of ``block_shape``."""

    scale: Array  # float32, shape () or ceil(shape / block_shape)
    zero_point: Array  # int32, shape () or ceil(shape / block_shape)
    block_shape: tuple[int, ...] | None


@dataclass(frozen=True)
class Value:
    """One tensor of the graph; ``shape[0]`` is 0 with ``batched`` when the file says ``"N"``."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    batched: bool
    quant: Quant | None
    data: Array | None  # constants only; sub-byte codes are still packed


@dataclass(frozen=True)
class Node:
    """One operator: value names in, value names out."""

    name: str
    op: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    contract: str | None


@dataclass(frozen=True)
class Graph:
    """Everything the file says, checked for form."""

    path: Path
    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    values: Mapping[str, Value]
    nodes: tuple[Node, ...]
    contracts: Mapping[str, Mapping[str, Any]]
    meta: Mapping[str, Any]
    sha256: str
    file_bytes: int
