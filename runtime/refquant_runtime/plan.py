"""A plan: the graph as a table of integers, one block of constants, one block of memory.

The lowering (``refquant_runtime.lower``) emits :class:`Step` s whose parameters may refer to
:class:`Buffer` s; :func:`finish` gives every buffer its place in the arena, so that buffers which
are never alive together share memory, and turns each step into one row of int64.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.kernels.abi import compiled
from refquant_runtime.kernels.pointers import aligned_zeros

__all__ = ["At", "Buffer", "Constants", "Plan", "Step", "finish"]

ALIGNMENT = 64
SLACK = 128  # vector loads may read this far past a row; nobody uses what they find there
LIMIT = 2**31 - 2**16


@dataclass(eq=False)
class Buffer:
    """A piece of the arena; ``pinned`` ones live for the whole plan (inputs, outputs, data)."""

    nbytes: int
    label: str
    pinned: bool = False
    data: NDArray[Any] | None = None  # written once, when the session starts
    offset: int = -1


@dataclass(frozen=True)
class At:
    """A place inside a buffer."""

    buffer: Buffer
    nbytes: int


@dataclass(eq=False)
class Step:
    """One kernel call: its fields by name, and which buffers it reads and writes."""

    kernel: Callable[..., None]
    fields: Sequence[str]
    params: Mapping[str, int | Buffer | At]
    reads: Sequence[Buffer]
    writes: Sequence[Buffer]
    node: str
    op: str
    macs: int = 0


@dataclass(frozen=True)
class Plan:
    """What the executor runs."""

    codes: NDArray[np.int64]  # address of each step's kernel
    params: NDArray[np.int64]  # one row a step
    consts: NDArray[np.uint8]
    arena: NDArray[np.uint8]
    steps: Sequence[Step]
    buffers: Sequence[Buffer]


@dataclass
class Constants:
    """Packed weights and tables, each at a 64-byte boundary; equal bytes are stored once."""

    parts: list[NDArray[np.uint8]] = field(default_factory=list)
    places: dict[bytes, int] = field(default_factory=dict)
    size: int = 0

    def add(self, array: NDArray[Any]) -> int:
        """Store an array and return its offset."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        key = data.tobytes()
        if key not in self.places:
            self.places[key] = self.size
            self.parts.append(data)
            self.size += -(-(data.size + SLACK) // ALIGNMENT) * ALIGNMENT
        return self.places[key]

    def block(self) -> NDArray[np.uint8]:
        """Return all parts as one aligned block."""
        block = aligned_zeros(self.size + ALIGNMENT)
        at = 0
        for part in self.parts:
            block[at : at + part.size] = part
            at += -(-(part.size + SLACK) // ALIGNMENT) * ALIGNMENT
        return block


def finish(steps: Sequence[Step], constants: Constants, keep: Sequence[Buffer]) -> Plan:
    """Place the buffers, compile the kernels, and write the table."""
    buffers = _lifetimes(steps, keep)
    size = _place(buffers)
    if size > LIMIT:
        raise UnsupportedError(
            f"the plan needs {size} bytes of memory, more than {LIMIT}; use a smaller model"
        )
    arena = aligned_zeros(size + SLACK)
    for buffer, _ in buffers:
        if buffer.data is not None:
            data = np.ascontiguousarray(buffer.data).reshape(-1).view(np.uint8)
            arena[buffer.offset : buffer.offset + data.size] = data
    width = max((len(step.fields) for step in steps), default=1)
    params = np.zeros((max(len(steps), 1), width), np.int64)
    for row, step in enumerate(steps):
        for column, name in enumerate(step.fields):
            value = step.params.get(name, 0)
            params[row, column] = _number(value)
    codes = np.array([compiled(step.kernel) for step in steps], np.int64)
    placed = [buffer for buffer, _ in buffers]
    return Plan(codes, params, constants.block(), arena, steps, placed)


def _number(value: int | Buffer | At) -> int:
    if isinstance(value, At):
        return value.buffer.offset + value.nbytes
    return value.offset if isinstance(value, Buffer) else value


def _lifetimes(
    steps: Sequence[Step], keep: Sequence[Buffer]
) -> list[tuple[Buffer, tuple[int, int]]]:
    """Return each buffer with the first and last step at which its content matters."""
    lives: dict[Buffer, tuple[int, int]] = {}
    for index, step in enumerate(steps):
        for buffer in (*step.reads, *step.writes):
            first, _ = lives.get(buffer, (index, index))
            lives[buffer] = (first, index)
    for buffer in keep:
        lives.setdefault(buffer, (0, 0))
    whole = (0, len(steps))
    return [(buffer, whole if buffer.pinned else life) for buffer, life in lives.items()]


def _place(buffers: list[tuple[Buffer, tuple[int, int]]]) -> int:
    """Give every buffer an offset: largest first, in the tightest gap among its contemporaries."""
    placed: list[tuple[int, int, tuple[int, int]]] = []  # offset, end, life
    for buffer, life in sorted(buffers, key=lambda item: -item[0].nbytes):
        size = -(-(buffer.nbytes + SLACK) // ALIGNMENT) * ALIGNMENT
        rivals = sorted(p for p in placed if p[2][0] <= life[1] and life[0] <= p[2][1])
        best, gap, at = -1, 1 << 62, 0
        for offset, end, _ in rivals:
            if size <= offset - at < gap:
                best, gap = at, offset - at
            at = max(at, end)
        buffer.offset = best if best >= 0 else at
        placed.append((buffer.offset, buffer.offset + size, life))
    return max((end for _, end, _ in placed), default=0)
