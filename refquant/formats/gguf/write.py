"""Writing a ``.gguf`` file: version 3, little-endian, whole or not at all.

The bytes depend on nothing but the content and its order; they are those that gguf's own writer
makes (`refquant.formats.gguf.layout` has the layout), and what is written here can be read there.
"""

import os
from collections.abc import Iterable, Iterator, Mapping

import numpy as np

from refquant.formats.gguf.cursor import shown
from refquant.formats.gguf.errors import GgufError
from refquant.formats.gguf.layout import (
    ALIGNMENT,
    ALIGNMENT_KEY,
    MAGIC,
    aligned,
    alignment_of,
    check_key,
)
from refquant.formats.gguf.tensor import GgufTensor
from refquant.formats.gguf.values import Value, encode_string, encode_value
from refquant.formats.whole_file import whole_file

__all__ = ["gguf_bytes", "write_gguf"]


def write_gguf(
    path: str | os.PathLike[str],
    metadata: Mapping[str, Value],
    tensors: Iterable[GgufTensor],
    *,
    alignment: int | None = None,
) -> None:
    """Write a file to ``path``, replacing what is there in one step.

    ``alignment`` is that of ``metadata``, or 32, unless it is given: then it is written, too, as
    the last key. If anything fails (`GgufError` for what no file can hold, `OSError` from the disk)
    then ``path`` is what it was.

    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_gguf(Path(folder) / "m.gguf", {"general.architecture": "llama"}, [])
    ...     (Path(folder) / "m.gguf").stat().st_size
    96
    """
    chunks = _chunks(metadata, list(tensors), alignment)
    with whole_file(path) as file:
        file.writelines(chunks)


def gguf_bytes(
    metadata: Mapping[str, Value],
    tensors: Iterable[GgufTensor],
    *,
    alignment: int | None = None,
) -> bytes:
    """Return what `write_gguf` writes.

    >>> gguf_bytes({}, [])[:24].hex(" ", 4)
    '47475546 03000000 00000000 00000000 00000000 00000000'
    """
    return b"".join(_chunks(metadata, list(tensors), alignment))


def _chunks(
    metadata: Mapping[str, Value], tensors: list[GgufTensor], alignment: int | None
) -> Iterator[bytes | memoryview]:
    """Check everything, then return the pieces of the file."""
    content, step = _aligned(metadata, alignment)
    names: set[str] = set()
    for tensor in tensors:
        if tensor.name in names:
            raise GgufError(
                f"there are two tensors {shown(tensor.name)}", "rename one", code="duplicate_tensor"
            )
        if tensor.byte_order != "little":
            raise GgufError(
                f"tensor {shown(tensor.name)} is from a big-endian file, this writes little-endian",
                "convert that file with gguf's gguf-convert-endian first",
                code="big_endian_blocks",
            )
        names.add(tensor.name)
    head = [MAGIC, _u32(3), _u64(len(tensors)), _u64(len(content))]
    head += (encode_string(key) + encode_value(value) for key, value in content.items())
    offset = 0
    for tensor in tensors:
        head += [encode_string(tensor.name), _u32(len(tensor.shape))]
        head += map(_u64, reversed(tensor.shape))
        head += [_u32(tensor.type.id), _u64(offset)]
        offset = aligned(offset + tensor.data.size, step)
    return _pieces(b"".join(head), tensors, step)


def _pieces(head: bytes, tensors: list[GgufTensor], step: int) -> Iterator[bytes | memoryview]:
    yield head + bytes(_padding(len(head), step))
    for tensor in tensors:
        yield np.ascontiguousarray(tensor.data).data  # the mapped file itself, not a copy
        yield bytes(_padding(tensor.data.size, step))


def _aligned(metadata: Mapping[str, Value], alignment: int | None) -> tuple[dict[str, Value], int]:
    """Return the metadata with the key of the alignment, if it needs one, and the alignment."""
    content = dict(metadata)
    for key in content:
        check_key(key)
    if alignment is not None and ALIGNMENT_KEY not in content:
        if not 0 < alignment < 2**32:
            alignment_of(alignment)  # raises: it is no uint32
        content[ALIGNMENT_KEY] = np.uint32(alignment)
    step = alignment_of(content.get(ALIGNMENT_KEY, ALIGNMENT))
    if alignment not in (None, step):
        raise GgufError(
            f"alignment is {alignment}, {ALIGNMENT_KEY} {step}",
            "give one of them",
            code="bad_alignment",
        )
    return content, step


def _padding(size: int, step: int) -> int:
    return aligned(size, step) - size


def _u32(number: int) -> bytes:
    return number.to_bytes(4, "little")


def _u64(number: int) -> bytes:
    return number.to_bytes(8, "little")
