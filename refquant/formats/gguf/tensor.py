r"""A tensor of a file: a name, a shape, a type, and the bytes of its blocks.

The last axis is the one that lies in memory without gaps, and that blocks run along; a file lists
the axes in the opposite order, ggml's ``ne[0]`` first::

    shape (3, 64) here  =  ne = [64, 3] in the file:  3 rows of 64 elements
    Q8_0, 34 bytes for 32:  | row 0: block block | row 1: block block | row 2: block block |

.. math::

    \text{bytes} = \text{rows} \cdot \text{bytes}(\text{row}), \qquad
    \text{rows} = \prod_{i < n - 1} \text{shape}_i                                \tag{1}

with the bytes of a row as ``refquant.formats.ggml.types`` has them. What is refused: an axis of
length 0 (it holds no code; llama.cpp accepts it since 2026), no axis, and more than four.

References
----------
ggml ``docs/gguf.md``, ``gguf_tensor_info_t``; ``include/ggml.h``, ``GGML_MAX_DIMS``.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.formats.ggml.codec import decode
from refquant.formats.ggml.types import GGML_TYPES, GgmlType, ggml_type
from refquant.formats.gguf.cursor import AGAIN, ByteOrder, shown
from refquant.formats.gguf.errors import GgufError

__all__ = [
    "MAX_NAME",
    "MAX_RANK",
    "REMOVED",
    "GgufTensor",
    "check_name",
    "check_rank",
    "plain_tensor",
    "stored_type",
    "tensor_bytes",
]

MAX_RANK = 4
MAX_NAME = 64
"""Bytes of a tensor's name, by the text of the format. llama.cpp stops at 63."""

REMOVED: Mapping[int, str] = MappingProxyType(
    {4: "Q4_2", 5: "Q4_3", 31: "Q4_0_4_4", 32: "Q4_0_4_8", 33: "Q4_0_8_8"}
    | {36: "IQ4_NL_4_4", 37: "IQ4_NL_4_8", 38: "IQ4_NL_8_8"}
)
"""Types that ggml had and has no more: nobody's blocks are defined by their number."""

_PLAIN = {
    np.dtype(dtype): GGML_TYPES[name]
    for dtype, name in {
        **{"float32": "F32", "float16": "F16", "float64": "F64"},
        **{"int8": "I8", "int16": "I16", "int32": "I32", "int64": "I64"},
    }.items()
}


@dataclass(frozen=True, slots=True, eq=False)
class GgufTensor:
    """One tensor: ``data`` is uint8, one axis, ``tensor_bytes(shape, type)`` long.

    From a file, ``data`` is a read-only view of the mapped file: nothing is read before it is used.
    ``GgufError`` for a name, a shape or a number of bytes that no file can hold.

    >>> w = GgufTensor("w", (2, 32), GGML_TYPES["Q8_0"], np.zeros(68, np.uint8))
    >>> w.elements, w.data.size
    (64, 68)
    """

    name: str
    shape: tuple[int, ...]
    type: GgmlType
    data: NDArray[np.uint8]
    byte_order: ByteOrder = "little"

    def __post_init__(self) -> None:
        """Refuse what no file can hold."""
        check_name(self.name)
        expected = tensor_bytes(self.shape, self.type, name=self.name)
        if self.data.dtype != np.uint8 or self.data.shape != (expected,):
            raise GgufError(
                f"tensor {shown(self.name)}: {self.type.name} of shape {list(self.shape)} is "
                f"{expected} bytes, got {self.data.dtype} of shape {list(self.data.shape)}",
                "encode it again, or correct its shape",
                code="bad_data",
            )

    @property
    def elements(self) -> int:
        """The number of weights."""
        return math.prod(self.shape)

    def decode(self) -> NDArray[Any]:
        """Return what the blocks mean, an array of ``shape``, by the format of ``type``.

        float32, but for F64 and the integers, which come as they are. `GgufError` for blocks from a
        big-endian file: how their fields swap is nowhere defined.
        """
        data = self.data
        if self.byte_order == "big":
            if self.type.block_size > 1:
                raise GgufError(
                    f"tensor {shown(self.name)} holds {self.type.name} blocks, big-endian",
                    "convert the file with gguf's gguf-convert-endian first",
                    code="big_endian_blocks",
                )
            data = data.reshape(-1, self.type.block_bytes)[:, ::-1]
        rows = data.reshape(*self.shape[:-1], self.type.row_bytes(self.shape[-1]))
        return decode(rows, type=self.type.name)


def plain_tensor(name: str, array: NDArray[Any]) -> GgufTensor:
    """Return ``array``, of a type that is not blocked, as a tensor: F32, F16, F64, I8 ... I64.

    >>> plain_tensor("b", np.array([[1.0, 2.0]], np.float32)).data.tolist()
    [0, 0, 128, 63, 0, 0, 0, 64]
    """
    array = np.asarray(array)
    kind = _PLAIN.get(array.dtype.newbyteorder("="))
    if kind is None:
        raise GgufError(
            f"tensor {shown(name)}: dtype is one of {', '.join(d.name for d in _PLAIN)}, "
            f"got {array.dtype}",
            "convert it, or encode it as blocks",
            code="bad_type",
        )
    raw = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
    return GgufTensor(name, array.shape, kind, np.frombuffer(raw, np.uint8))


def tensor_bytes(
    shape: Sequence[int], kind: GgmlType, *, name: str, offset: int | None = None
) -> int:
    """Return eq. (1); ``name`` and ``offset`` are what an error calls the tensor and its place.

    >>> tensor_bytes((3, 64), GGML_TYPES["Q8_0"], name="w")
    204
    """
    check_rank(len(shape), name=name, offset=offset)
    if not all(0 < length < 2**63 for length in shape):
        raise GgufError(
            f"tensor {shown(name)} has shape {list(shape)}, every axis must be 1 to 2^63 - 1",
            "leave empty tensors out",
            code="bad_dimension",
            offset=offset,
        )
    if math.prod(shape) >= 2**63:
        raise GgufError(
            f"tensor {shown(name)} has shape {list(shape)}, 2^63 elements or more",
            "the file is damaged or made to harm; copy it again from where you trust it",
            code="too_large",
            offset=offset,
        )
    try:
        return math.prod(shape[:-1]) * kind.row_bytes(shape[-1])
    except ValueError as error:
        raise GgufError(
            f"tensor {shown(name)} has shape {list(shape)}: {error}",
            "choose a type whose block divides the last axis",
            code="ragged_row",
            offset=offset,
        ) from None


def check_rank(rank: int, *, name: str, offset: int | None = None) -> None:
    """Refuse a number of axes that no file can hold, of the tensor ``name``.

    >>> check_rank(4, name="w")
    """
    if not 1 <= rank <= MAX_RANK:
        raise GgufError(
            f"tensor {shown(name)} has {rank} axes, it must have 1 to {MAX_RANK}",
            "reshape it, a single number to (1,)",
            code="bad_rank",
            offset=offset,
        )


def check_name(name: str, *, offset: int | None = None) -> None:
    r"""Refuse a tensor's name that is empty, too long, or ends early in C.

    >>> check_name("blk.0.attn_q.weight")
    """
    if not name or "\0" in name or len(name.encode("utf-8", "surrogatepass")) > MAX_NAME:
        raise GgufError(
            f"a tensor's name is 1 to {MAX_NAME} bytes without NUL, got {shown(name)}",
            "rename it",
            code="bad_name",
            offset=offset,
        )


def stored_type(number: int, *, name: str, offset: int | None = None) -> GgmlType:
    """Return the type that ``number`` stands for in a file, of the tensor ``name``.

    >>> stored_type(8, name="w").name
    'Q8_0'
    """
    if number in REMOVED:
        raise GgufError(
            f"tensor {shown(name)} has type {REMOVED[number]} ({number}), which ggml has removed",
            "convert the original model again",
            code="removed_type",
            offset=offset,
        )
    try:
        return ggml_type(number)
    except ValueError as error:
        what = f"tensor {shown(name)}: {error}"
        raise GgufError(what, AGAIN, code="bad_type", offset=offset) from None
