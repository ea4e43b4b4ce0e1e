r"""One tensor of a ``.onnx`` file: from a message that promises to an array that is there.

A tensor says its dtype and sizes, and has its numbers as raw bytes, in a field of its dtype, or in
a file beside the model. The memory of all arrays is bounded before the first one is made:

.. math:: \sum \mathrm{bytes\ of\ arrays} \le 2\,\mathrm{bytes\ of\ files} + 64\,\mathrm{MB}
    \tag{1}

Codes of 4 and 2 bits lie in a stream, the first in the lowest bits, and come out one to an element.

A bfloat16 is held in float32. Left out: strings, floats of 8 and 4 bits: they become `Opaque`, an
error only where a node reads one.

References: ``onnx.proto3``, TensorProto.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.importers.onnx_external import external_size, read_external
from refquant.model.importers.onnx_model import Opaque, Tensor
from refquant.model.importers.onnx_wire import OnnxFormatError
from refquant.numerics.packing import unpack

__all__ = ["DTYPE_NAMES", "TensorReader", "dtype_of"]

_SPARE = 64 << 20

# TensorProto.DataType -> (dtype, field of the message that holds it unless there is raw_data)
_PLAIN: Mapping[int, tuple[str, str]] = {
    1: ("float32", "float_data"),
    2: ("uint8", "int32_data"),
    3: ("int8", "int32_data"),
    4: ("uint16", "int32_data"),
    5: ("int16", "int32_data"),
    6: ("int32", "int32_data"),
    7: ("int64", "int64_data"),
    9: ("bool", "int32_data"),
    10: ("float16", "int32_data"),
    11: ("float64", "double_data"),
    12: ("uint32", "uint64_data"),
    13: ("uint64", "uint64_data"),
}
_BRAIN = 16  # bfloat16: the upper half of a float32
_NARROW: Mapping[int, str] = {21: "uint4", 22: "int4", 25: "uint2", 26: "int2"}
_OTHERS: Mapping[int, str] = {
    **{0: "undefined", 8: "string", 14: "complex64", 15: "complex128"},
    **{17: "float8e4m3fn", 18: "float8e4m3fnuz", 19: "float8e5m2", 20: "float8e5m2fnuz"},
    **{23: "float4e2m1", 24: "float8e8m0", 27: "float6e2m3", 28: "float6e3m2"},
}
DTYPE_NAMES: Mapping[int, str] = {
    **{kind: dtype for kind, (dtype, _) in _PLAIN.items()}, **_NARROW, **_OTHERS,
    _BRAIN: "bfloat16",
}  # fmt: skip
"""What ONNX's numbers of dtypes mean."""


def dtype_of(kind: int) -> str:
    """Return the name of the dtype that ONNX has the number ``kind`` for.

    >>> dtype_of(1), dtype_of(22), dtype_of(99)
    ('float32', 'int4', 'data type 99')
    """
    return DTYPE_NAMES.get(kind, f"data type {kind}")


@dataclass(slots=True)
class TensorReader:
    """Makes arrays for a model of ``size`` bytes in ``folder`` (None: it has no folder)."""

    folder: Path | None
    size: int
    _spent: int = field(default=0, init=False)
    _files: set[str] = field(default_factory=set, init=False)

    def read(self, proto: Any) -> Tensor | Opaque:
        """Return the tensor in the message ``proto``; of a dtype that we have not, a word for it.

        `OnnxFormatError` if its bytes are not as many as its sizes say, or too many by eq. (1).
        """
        kind, shape, name = proto.data_type, tuple(proto.dims), proto.name
        if kind in _OTHERS:
            return Opaque(f"a tensor of {_OTHERS[kind]}")
        if kind not in _PLAIN and kind not in _NARROW and kind != _BRAIN:
            raise _bad(name, f"the {dtype_of(kind)} is unknown; export the model again")
        if any(size < 0 for size in shape) or len(shape) > 32:
            raise _bad(name, f"at most 32 sizes >= 0, got {list(shape)[:40]}")
        self._count_file(proto)
        count = math.prod(shape)
        if kind in _NARROW:
            self._spend(name, count)
            return Tensor(self._narrow(proto, shape, _NARROW[kind]), _NARROW[kind])
        if kind == _BRAIN:
            self._spend(name, 4 * count)
            return Tensor(self._brain(proto, count).reshape(shape), "bfloat16")
        dtype = np.dtype(_PLAIN[kind][0])
        self._spend(name, count * dtype.itemsize)
        if proto.data_location == 1 or proto.HasField("raw_data"):
            array = self._raw(proto, dtype, count)
        else:
            array = _typed(proto, dtype, _PLAIN[kind][1], count)
        return Tensor(array.reshape(shape), dtype.name)

    def _count_file(self, proto: Any) -> None:
        """Let the first tensor of a file beside the model add that file to the budget."""
        where = {str(entry.key): str(entry.value) for entry in proto.external_data}
        location = where.get("location", "")
        if proto.data_location == 1 and location not in self._files:
            self.size += external_size(self.folder, where, proto.name)
            self._files.add(location)

    def _spend(self, name: str, size: int) -> None:
        self._spent += size
        if self._spent > 2 * self.size + _SPARE:
            raise _bad(name, "the arrays ask for more memory than the file has; export it again")

    def _bytes(self, proto: Any, expected: int) -> bytes:
        if proto.data_location == 1:
            where = {str(entry.key): str(entry.value) for entry in proto.external_data}
            return read_external(self.folder, where, expected, proto.name)
        if len(proto.raw_data) != expected:
            raise _bad(
                proto.name,
                f"its shape {list(proto.dims)} needs {expected} bytes, got {len(proto.raw_data)}; "
                "export the model again",
            )
        return bytes(proto.raw_data)

    def _raw(self, proto: Any, dtype: np.dtype[Any], count: int) -> NDArray[Any]:
        data = self._bytes(proto, count * dtype.itemsize)
        if dtype == np.bool_:
            return np.asarray(np.frombuffer(data, np.uint8) != 0)
        return np.frombuffer(data, dtype.newbyteorder("<")).astype(dtype, copy=False)

    def _brain(self, proto: Any, count: int) -> NDArray[Any]:
        """Return numbers of bfloat16 as float32, which has them all."""
        if proto.data_location == 1 or proto.HasField("raw_data"):
            bits = self._raw(proto, np.dtype(np.uint16), count)
        else:
            bits = _typed(proto, np.dtype(np.uint16), "int32_data", count)
        return (bits.astype(np.uint32) << 16).view(np.float32)

    def _narrow(self, proto: Any, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        bits, count = int(dtype[-1]), math.prod(shape)
        size = -(-count * bits // 8)
        if proto.data_location == 1 or proto.HasField("raw_data"):
            data = np.frombuffer(self._bytes(proto, size), np.uint8)
        else:
            data = _typed(proto, np.dtype(np.uint8), "int32_data", size)
        unused = size * 8 - count * bits
        if unused:  # ONNX does not say that the last bits are 0
            data = data.copy()
            data[-1] &= 0xFF >> unused
        return unpack(data, num_bits=bits, signed=dtype.startswith("int"), shape=shape)


def _typed(proto: Any, dtype: np.dtype[Any], source: str, count: int) -> NDArray[Any]:
    numbers = getattr(proto, source)
    if len(numbers) != count or proto.data_location not in (0, 1):
        raise _bad(
            proto.name,
            f"its shape {list(proto.dims)} needs {count} numbers, got {len(numbers)}; "
            "export the model again",
        )
    if dtype == np.float16:  # its bits, as integers
        bits: NDArray[Any] = np.fromiter(numbers, np.dtype(np.int64), count) & 0xFFFF
        return bits.astype(np.uint16).view(np.float16)
    kind = {"f": dtype, "u": np.dtype(np.uint64)}.get(dtype.kind, np.dtype(np.int64))
    wide: NDArray[Any] = np.fromiter(numbers, kind, count)
    if dtype.kind in "iu" and count:
        limits = np.iinfo(dtype)
        if not limits.min <= wide.min() <= wide.max() <= limits.max:
            raise _bad(proto.name, f"a number is no {dtype}; export the model again")
    return wide.astype(dtype, copy=False)


def _bad(name: str, what: str) -> OnnxFormatError:
    return OnnxFormatError(f"tensor {name!r}: {what}")
