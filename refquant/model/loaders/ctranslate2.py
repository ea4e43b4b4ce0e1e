"""The container of CTranslate2, ``model.bin`` version 6: names and numbers, one after the other.

All integers little-endian; a string is a u16 length, then so many bytes, the last one NUL::

    u32 version = 6 | string name of the specification | u32 revision of it
    u32 count | count x ( string name | u8 rank | rank x u32 dims | u8 dtype | u32 bytes | data )
    u32 count | count x ( string alias | string name )

dtype: 0 float32, 1 int8, 2 int16, 3 int32, 4 float16; 5, bfloat16, is refused.

Source: OpenNMT CTranslate2, ``src/models/model.cc``, ``Model::load``.
"""

import math
import os
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.loaders.tensors import ModelFileError, Tensors

__all__ = ["parse_ctranslate2", "read_ctranslate2"]

_VERSION = 6
_DTYPES = tuple(np.dtype(code) for code in ("<f4", "i1", "<i2", "<i4", "<f2"))


def read_ctranslate2(path: str | os.PathLike[str], *, name: str) -> Tensors:
    """Return the tensors of ``path``, a model of the specification ``name`` ("WhisperSpec").

    Any fault is a `ModelFileError`. An alias is a second name of the same array.

    >>> read_ctranslate2("no such file", name="WhisperSpec")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot be read: No such file or \
directory; give the path of a CTranslate2 model.bin
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read: {error.strerror}; give the path of a CTranslate2 model.bin"
        ) from error
    return parse_ctranslate2(data, path=str(path), name=name)


def parse_ctranslate2(data: bytes, *, path: str, name: str) -> Tensors:
    """Return the tensors whose file is ``data``, as views; ``path`` is what errors call it.

    >>> file = struct.pack("<IH2sII", 6, 2, b"S" + bytes(1), 1, 0) + struct.pack("<I", 0)
    >>> parse_ctranslate2(file, path="f", name="S").arrays
    {}
    """
    cursor = _Cursor(data, path)
    version = cursor.number("I")
    if version != _VERSION:
        raise ModelFileError(
            f"{path}: version must be {_VERSION}, got {version}; convert the model with "
            "CTranslate2 3 or 4"
        )
    found = cursor.string()
    if found != name:
        raise ModelFileError(f"{path}: must be a {name}, got {found!r:.60}; give another model")
    cursor.number("I")  # the specification's revision: names and shapes are checked one by one
    arrays: dict[str, NDArray[Any]] = {}
    for _ in range(cursor.number("I")):
        key = cursor.string()
        arrays[key] = cursor.array(key)
    for _ in range(cursor.number("I")):
        alias, target = cursor.string(), cursor.string()
        if target not in arrays:
            raise ModelFileError(f"{path}: {alias!r} stands for {target!r}, which is not there")
        arrays[alias] = arrays[target]
    if cursor.at != len(data):
        raise ModelFileError(f"{path}: {len(data) - cursor.at} bytes too many; copy it again")
    return Tensors(path, arrays)


class _Cursor:
    """A place in the bytes; it never passes their end."""

    def __init__(self, data: bytes, path: str) -> None:
        self.data, self.path, self.at = data, path, 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise ModelFileError(
                f"{self.path}: truncated: byte {end} is needed, it has {len(self.data)}; copy it "
                "again"
            )
        taken = self.data[self.at : end]
        self.at = end
        return taken

    def number(self, code: str) -> int:
        return int(struct.unpack(f"<{code}", self.take(struct.calcsize(code)))[0])

    def string(self) -> str:
        raw = self.take(self.number("H"))
        try:
            return raw.removesuffix(b"\0").decode("utf-8")
        except UnicodeDecodeError as error:
            raise ModelFileError(f"{self.path}: a name is no UTF-8; copy it again") from error

    def array(self, name: str) -> NDArray[Any]:
        shape = [self.number("I") for _ in range(self.number("B"))]
        kind, size = self.number("B"), self.number("I")
        if kind >= len(_DTYPES) or math.prod(shape) * _DTYPES[kind].itemsize != size:
            raise ModelFileError(
                f"{self.path}: tensor {name!r}: dtype must be 0 to 4 and its size that of "
                f"{shape}, got dtype {kind} and {size} bytes; convert it to float16 or float32"
            )
        return np.frombuffer(self.take(size), _DTYPES[kind]).reshape(shape)
