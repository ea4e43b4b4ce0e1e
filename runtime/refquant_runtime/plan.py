"""A plan: the graph as a table of integers, one block of constants, one block of memory.

The lowering (``refquant_runtime.lower``) emits :class:`Step` s whose parameters may refer to
:class:`Buffer` s; :func:`finish` gives every buffer its place in the arena, so that buffers which
are never alive together share memory, and turns each step into one row of int64.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import UnsupportedError
from refquant_runtime.kernels.abi import compiled
from refquant_runtime.kernels.pointers import aligned_zeros

__all__ = ["At", "Buffer", "Constants", "Guards", "Plan", "Step", "finish"]

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


@dataclass
class Guards:
    """What kernels may find wrong with an input: a rule each, and the place where they say so."""

    rules: list[str] = field(default_factory=list)
    buffer: Buffer = field(default_factory=lambda: Buffer(4, "guards", pinned=True))

    def add(self, rule: str) -> At:
        """Return the place (int32) that is not 0 after a run in which the rule was broken."""
        self.rules.append(rule)
        self.buffer.nbytes = 4 * len(self.rules)
        return At(self.buffer, self.buffer.nbytes - 4)

    def broken(self, arena: NDArray[np.uint8]) -> str | None:
        """Return the first broken rule, and forget all of them."""
        if not self.rules:
            return None
        place = self.buffer.offset
        flags = arena[place : place + self.buffer.nbytes].view(np.int32)
        if not flags.any():
            return None
        rule = self.rules[int(flags.argmax())]
        flags[:] = 0
        return rule


@dataclass(frozen=True)
class Plan:
    """What the executor runs."""

    codes: NDArray[np.int64]  # address of each step's kernel
    params: NDArray[np.int64]  # one row a step
    consts: NDArray[np.uint8]
    arena: NDArray[np.uint8]
    steps: Sequence[Step]
    buffers: Sequence[Buffer]
    guards: Guards = field(default_factory=Guards)


@dataclass
class Constants:
    """Packed weights and tables, each at a 64-byte boundary; equal bytes are stored once.

    Plans for several lengths of sequences share them: what is packed for one is there for all.
    """

    parts: list[tuple[int, NDArray[np.uint8]]] = field(default_factory=list)  # not in memory yet
    places: dict[bytes, int] = field(default_factory=dict)
    known: dict[Any, Any] = field(default_factory=dict)
    size: int = 0
    memory: NDArray[np.uint8] = field(default_factory=lambda: aligned_zeros(0))
    shared: bool = False

    def add(self, array: NDArray[Any]) -> int:
        """Store an array and return its offset."""
        data = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
        key = hashlib.sha256(data.data).digest()
        if key not in self.places:
            self.places[key] = self.size
            self.parts.append((self.size, data))
            self.size += -(-(data.size + SLACK) // ALIGNMENT) * ALIGNMENT
        return self.places[key]

    def once(self, key: Any, make: Callable[[], Any]) -> Any:
        """Return what ``make`` returned for this key, now or for a plan before."""
        if key not in self.known:
            self.known[key] = make()
        return self.known[key]

    def block(self) -> NDArray[np.uint8]:
        """Return all parts as one aligned block, with room for some more if plans share it."""
        if self.memory.size < self.size + ALIGNMENT:
            room = self.size // 8 if self.shared else 0  # pages that nobody touches cost nothing
            grown = aligned_zeros(self.size + ALIGNMENT + room)
            grown[: self.memory.size] = self.memory
            self.memory = grown
        for at, part in self.parts:
            self.memory[at : at + part.size] = part
        self.parts.clear()
        return self.memory


def finish(
    steps: Sequence[Step],
    constants: Constants,
    keep: Sequence[Buffer],
    guards: Guards | None = None,
) -> Plan:
    """Place the buffers, compile the kernels, and write the table."""
    guards = guards or Guards()
    buffers = _lifetimes(steps, [*keep, guards.buffer] if guards.rules else keep)
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
    return Plan(codes, params, constants.block(), arena, steps, placed, guards)


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
