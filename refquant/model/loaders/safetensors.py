"""Any safetensors file, read: a JSON header, then bytes.

::

    H (u64, little-endian) | {"name": {"dtype", "shape", "data_offsets": [begin, end]}, ...} | data

A `.rq` file is one, too, but `refquant.model.rq_container` is stricter: here headers end where
they like, and tensors lie in any order. Every offset is compared with the bytes that are there,
and every byte belongs to one tensor, as the format demands.

Left out: dtypes that NumPy has not (BF16, F8_E4M3 and so on) are not read until they are asked
for: such a tensor is simply absent.

Source: https://github.com/huggingface/safetensors, README "Format".
"""

import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.model.loaders.tensors import ModelFileError, Tensors
from refquant.model.rq_json import loads

__all__ = ["parse_safetensors", "read_safetensors"]

_MAX_HEADER = 100_000_000
_DTYPES: Mapping[str, np.dtype[Any]] = {
    name: np.dtype(code)
    for name, code in {
        **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2"},
        **{"I8": "i1", "U8": "u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?"},
    }.items()
}


def read_safetensors(path: str | os.PathLike[str]) -> Tensors:
    """Return the tensors of the file ``path``; any fault is a `ModelFileError`.

    >>> read_safetensors("no such file")
    Traceback (most recent call last):
    ...
    refquant.model.loaders.tensors.ModelFileError: no such file: cannot be read: No such file or \
directory; give the path of a .safetensors file
    """
    try:
        data = Path(path).read_bytes()
    except OSError as error:
        raise ModelFileError(
            f"{path}: cannot be read: {error.strerror}; give the path of a .safetensors file"
        ) from error
    return parse_safetensors(data, name=str(path))


def parse_safetensors(data: bytes, *, name: str) -> Tensors:
    """Return the tensors whose file is ``data``, as views; ``name`` is what errors call it.

    >>> head = b'{"w":{"dtype":"U8","shape":[2],"data_offsets":[0,2]}}'
    >>> file = len(head).to_bytes(8, "little") + head + bytes([7, 9])
    >>> parse_safetensors(file, name="f").arrays["w"].tolist()
    [7, 9]
    """
    length = int.from_bytes(data[:8], "little")
    if len(data) < 8 or not 2 <= length <= _MAX_HEADER or 8 + length > len(data):
        raise ModelFileError(f"{name}: is truncated or no safetensors file; copy it again")
    try:
        header = loads(data[8 : 8 + length].decode("utf-8"))
    except ValueError as error:
        raise ModelFileError(f"{name}: the header is no JSON: {error}; copy it again") from error
    if not isinstance(header, dict):
        raise ModelFileError(f"{name}: the header is no object; give a safetensors file")
    header.pop("__metadata__", None)
    body = memoryview(data)[8 + length :]
    arrays: dict[str, NDArray[Any]] = {}
    for key, fields in header.items():
        array = _tensor(name, key, fields, body)
        if array is not None:
            arrays[key] = array
    _check_cover(name, header, len(body))
    return Tensors(name, arrays)


def _check_cover(file: str, header: dict[str, Any], size: int) -> None:
    """Refuse a file whose tensors, side by side, are not all of its data: the format's own rule."""
    at = 0
    for begin, end in sorted(tuple(fields["data_offsets"]) for fields in header.values()):
        if begin != at:
            what = "lie on each other" if begin < at else "leave a hole"
            raise ModelFileError(f"{file}: tensors {what} at data byte {begin}; copy it again")
        at = end
    if at != size:
        raise ModelFileError(
            f"{file}: {size - at} bytes behind the last tensor belong to none; copy it again"
        )


def _tensor(file: str, key: str, fields: Any, body: memoryview) -> NDArray[Any] | None:
    where = f"{file}: tensor {key!r}"
    if not isinstance(fields, dict) or fields.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelFileError(f"{where}: has dtype, shape and data_offsets; copy the file again")
    shape, offsets = fields["shape"], fields["data_offsets"]
    if not _counts(shape) or not _counts(offsets) or len(offsets) != 2 or len(shape) > 8:
        raise ModelFileError(f"{where}: shape and data_offsets are integers >= 0; copy it again")
    begin, end = offsets
    if not begin <= end <= len(body):
        raise ModelFileError(
            f"{where}: ends at data byte {end}, the file at {len(body)}; it is truncated, copy it "
            "again"
        )
    dtype = _DTYPES.get(fields["dtype"]) if isinstance(fields["dtype"], str) else None
    if dtype is None:
        return None
    if math.prod(shape) * dtype.itemsize != end - begin:
        raise ModelFileError(
            f"{where}: {fields['dtype']} {shape} takes {math.prod(shape) * dtype.itemsize} bytes, "
            f"got {end - begin}; copy the file again"
        )
    return np.frombuffer(body[begin:end], dtype).reshape(shape)


def _counts(item: Any) -> bool:
    return isinstance(item, list) and all(type(i) is int and i >= 0 for i in item)
