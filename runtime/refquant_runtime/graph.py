"""The graph inside a ``.rq`` file, as values. :mod:`refquant_runtime.read_graph` makes them."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

__all__ = ["DTYPES", "DTYPE_RANGE", "SUBBYTE", "Graph", "Node", "Quant", "State", "Value"]

Array = NDArray[Any]
DTYPE_RANGE: Mapping[str, tuple[int, int]] = {
    "int64": (-(2**63), 2**63 - 1),
    "int32": (-(2**31), 2**31 - 1),
    "int16": (-(2**15), 2**15 - 1),
    "uint16": (0, 2**16 - 1),
    "int8": (-128, 127),
    "uint8": (0, 255),
    "int7": (-64, 63),
    "uint7": (0, 127),
    "int6": (-32, 31),
    "uint6": (0, 63),
    "int5": (-16, 15),
    "uint5": (0, 31),
    "int4": (-8, 7),
    "uint4": (0, 15),
    "int3": (-4, 3),
    "uint3": (0, 7),
    "int2": (-2, 1),
    "uint2": (0, 3),
}
SUBBYTE = {f"{kind}{bits}": bits for bits in (7, 6, 5, 4, 3, 2) for kind in ("int", "uint")}
DTYPES = ("float32", *DTYPE_RANGE)


@dataclass(frozen=True)
class Quant:
    """real = scale * (code - zero_point), or scale * table[code]; one parameter a block.

    ``g_idx`` says which block each index of one axis belongs to; without it they are neighbours.
    """

    scale: Array  # float32, shape () or ceil(shape / block_shape); scales of codes are decoded
    zero_point: Array  # int32 or float32, shape () or ceil(shape / block_shape)
    block_shape: tuple[int, ...] | None
    table: Array | None = None  # float32, one entry a code
    g_idx: Array | None = None  # int32, 1 long on all axes but its own

    @property
    def plain(self) -> bool:
        """Whether integer arithmetic can compute with such codes."""
        return self.table is None and self.g_idx is None and self.zero_point.dtype == "int32"


@dataclass(frozen=True)
class Value:
    """One tensor of the graph; ``shape[0]`` is 0 with ``batched`` when the file says ``"N"``.

    ``lengths`` are the axes of which it says ``"T"``: their size is 1 until a run gives another.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    batched: bool
    quant: Quant | None
    data: Array | None  # constants only; sub-byte codes are still packed
    lengths: tuple[int, ...] = ()


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
class State:
    """The input ``input`` is what ``output`` was in the run before, at first ``initial``.

    ``initial`` names a constant; where it is empty the state begins as zeros, of codes the zero
    point.
    """

    name: str
    input: str
    output: str
    initial: str


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
    states: tuple[State, ...] = ()
