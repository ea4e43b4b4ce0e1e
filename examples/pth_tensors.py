r"""The tensors of a legacy PyTorch checkpoint, read without running anything that it says.

A pickle is a program for a small machine: "call this function with that" is one of its
instructions, and `pickle.load` calls. Here its instructions are only looked at
(`pickletools.genops` decodes, it executes nothing), and followed by a machine that knows fewer of
them: literals, tuples, dicts, its memo. A function stays a name; of the four names in `KNOWN` the
machine knows what they would make; any other, and any other instruction, is refused. ::

    pickle: magic number                                  0x1950a86a20f9469cfc6c
    pickle: protocol                                      1001
    pickle: sizes of C types, "little_endian": true
    pickle: {name: _rebuild_tensor_v2(storage, offset, shape, strides, ...)}
    pickle: [key of a storage, ...]
    for each key: its number of elements as int64, the elements, little-endian

.. math::

    t[i_1, \dots, i_d] = \text{storage}[\text{offset} + \sum_k i_k\, \text{stride}_k]        \tag{1}

Left out: the zip format that PyTorch writes since 1.6, views of storages, devices.

Source: PyTorch, ``torch/serialization.py``, ``_legacy_save``; Python, ``Lib/pickletools.py``.
"""

from __future__ import annotations

import pickletools
import struct
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001
KNOWN = {
    "collections OrderedDict": "dict",
    "torch._utils _rebuild_tensor_v2": "tensor",
    "torch FloatStorage": "<f4",
    "torch LongStorage": "<i8",
}
"""What stands for a function, and for a type of elements."""

_LITERALS = frozenset({"BININT", "BININT1", "BININT2", "LONG1", "BINUNICODE"})
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_PUT, _GET = frozenset({"BINPUT", "LONG_BINPUT"}), frozenset({"BINGET", "LONG_BINGET"})
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}


class Global(NamedTuple):
    """A function or type by name: never called, never imported."""

    name: str


class Storage(NamedTuple):
    """The elements that a tensor looks at, by key."""

    dtype: str
    key: str
    size: int


class Tensor(NamedTuple):
    """Equation (1)."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class Machine:
    """What a pickle's instructions make, as far as `KNOWN` and literals go."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}

    def load(self, stream: IO[bytes]) -> Any:
        """Follow one pickle to its end and return what it makes; `ValueError` if it wants more."""
        try:
            for opcode, argument, _ in pickletools.genops(stream):
                if opcode.name == "STOP":
                    return self.stack.pop()
                self._step(opcode.name, argument)
        except (IndexError, KeyError, TypeError) as error:
            raise ValueError(f"not a checkpoint: its pickle is damaged ({error!r})") from error
        raise ValueError("not a checkpoint: its pickle has no end")

    def _step(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name in _LITERALS:
            stack.append(argument)
        elif name in _CONSTANTS:
            stack.append(_CONSTANTS[name])
        elif name in _PUT:
            self.memo[argument] = stack[-1]
        elif name in _GET:
            stack.append(self.memo[argument])
        elif name == "MARK":
            self.marks.append(len(stack))
        elif name in _TUPLES:
            stack.append(tuple(self._since(len(stack) - _TUPLES[name])))
        elif name != "PROTO":
            self._make(name, argument)

    def _make(self, name: str, argument: Any) -> None:
        stack = self.stack
        if name == "TUPLE":
            stack.append(tuple(self._since(self.marks.pop())))
        elif name in ("EMPTY_DICT", "EMPTY_LIST"):
            stack.append({} if name == "EMPTY_DICT" else [])
        elif name == "GLOBAL":
            if argument not in KNOWN:
                raise ValueError(f"not read: the checkpoint asks for {argument!r}")
            stack.append(Global(argument))
        elif name == "BINPERSID":
            _, kind, key, _, size, _ = stack.pop()
            stack.append(Storage(KNOWN[kind.name], str(key), int(size)))
        elif name == "REDUCE":
            arguments = stack.pop()
            stack.append(_made(stack.pop(), arguments))
        elif name in ("SETITEM", "SETITEMS"):
            pairs = self._since(len(stack) - 2 if name == "SETITEM" else self.marks.pop())
            stack[-1].update(zip(pairs[::2], pairs[1::2], strict=True))
        elif name in ("APPEND", "APPENDS"):
            items = self._since(len(stack) - 1 if name == "APPEND" else self.marks.pop())
            stack[-1].extend(items)
        elif name == "BUILD":
            stack.pop()  # attributes of the dict: versions of modules
        else:
            raise ValueError(f"not read: the checkpoint's pickle has the instruction {name}")

    def _since(self, start: int) -> list[Any]:
        items = self.stack[start:]
        del self.stack[start:]
        return items


def _made(function: Global, arguments: tuple[Any, ...]) -> Any:
    kind = KNOWN[function.name]
    if kind == "dict" and not arguments:
        return {}
    if kind == "tensor":
        return Tensor(*arguments[:4])
    raise ValueError(f"not read: the checkpoint calls {function.name!r} with {arguments!r}")


def read_pth(path: Path) -> dict[str, NDArray[Any]]:
    """Return the tensors of the legacy checkpoint ``path``, float32 and int64, by name.

    `ValueError` for anything but that; nothing of the file is executed.
    """
    with path.open("rb") as stream:
        head = [Machine().load(stream) for _ in range(3)]
        if head[:2] != [MAGIC, PROTOCOL] or not head[2].get("little_endian"):
            raise ValueError(f"{path.name}: not a legacy PyTorch checkpoint, little-endian")
        tensors, keys = Machine().load(stream), Machine().load(stream)
        sizes = {t.storage.key: t.storage for t in tensors.values() if isinstance(t, Tensor)}
        storages = {}
        for key in keys:
            storage = sizes[key]
            if stream.read(8) != struct.pack("<q", storage.size):
                raise ValueError(f"{path.name}: storage {key} has another size than its tensor")
            data = stream.read(storage.size * np.dtype(storage.dtype).itemsize)
            storages[key] = np.frombuffer(data, storage.dtype)
            if storages[key].size != storage.size:
                raise ValueError(f"{path.name}: it ends within storage {key}; fetch it again")
    return {name: _array(name, t, storages[t.storage.key]) for name, t in tensors.items()}


def _array(name: str, tensor: Tensor, storage: NDArray[Any]) -> NDArray[Any]:
    """Return equation (1), which stays within the storage."""
    shape, strides = tensor.shape, tensor.strides
    if len(shape) != len(strides) or min((*shape, *strides, tensor.offset), default=0) < 0:
        raise ValueError(f"tensor {name!r}: shape {shape} and strides {strides} do not fit")
    last = tensor.offset + sum((n - 1) * stride for n, stride in zip(shape, strides, strict=True))
    if 0 in shape or last >= storage.size:
        raise ValueError(f"tensor {name!r}: it is empty, or reaches beyond its storage")
    places = np.full(shape, tensor.offset)
    for axis, stride in enumerate(strides):
        steps = np.arange(shape[axis]) * stride
        places += steps.reshape(-1, *[1] * (len(shape) - axis - 1))
    found: NDArray[Any] = storage[places]
    return found
