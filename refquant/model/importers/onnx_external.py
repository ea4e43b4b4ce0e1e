"""Tensors in files beside the model: which paths are allowed, and which bytes of them.

A model names a file, an offset and a length. It may come from anybody, so the file must be

1. named by a relative path without ``..``, in the model's folder or below it;
2. reached without a symbolic link, a regular file, without a second hard link
   (a link is how a path inside shows a file outside);
3. long enough: ``0 <= offset``, ``0 <= length``, ``offset + length <= size``.

It is opened once, without following a link, and asked what it is after that: nobody can replace it
in between.

Left out: the checksum (ONNX has SHA-1, optional, and says nothing about who checks it).

References: ONNX ``docs/ExternalDataSecurity.md``; ``docs/ExternalData.md``.
"""

import os
import stat
from collections.abc import Mapping
from pathlib import Path, PurePosixPath, PureWindowsPath

from refquant.model.importers.onnx_wire import OnnxFormatError

__all__ = ["external_size", "read_external"]


def external_size(folder: Path | None, where: Mapping[str, str], name: str) -> int:
    """Return how many bytes the file has that ``where`` names for the tensor ``name``.

    >>> external_size(None, {"location": "w.bin"}, "w")
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: tensor 'w': external data needs the \
model's folder; import it by its path
    """
    place = _place(folder, where.get("location", ""), name)
    try:
        return place.lstat().st_size
    except OSError as error:
        raise _bad(name, f"external data {place.name!r}: {error.strerror}") from None


def read_external(folder: Path | None, where: Mapping[str, str], expected: int, name: str) -> bytes:
    """Return the ``expected`` bytes of the tensor ``name`` that ``where`` describes.

    ``folder`` is the model's, None when the model came as bytes.

    >>> read_external(Path("."), {"location": "../secret"}, 4, "w")
    Traceback (most recent call last):
    ...
    refquant.model.importers.onnx_wire.OnnxFormatError: tensor 'w': external data lies in the \
model's folder, got location '../secret'; copy it there
    """
    place = _place(folder, where.get("location", ""), name)
    offset = _number(name, where, "offset", 0)
    length = _number(name, where, "length", expected)
    if length != expected:
        raise _bad(name, f"its shape needs {expected} bytes, external data has {length}")
    return _read(place, offset, length, name)


def _place(folder: Path | None, location: str, name: str) -> Path:
    """Return the path inside ``folder``: rules 1 and 2 of its name."""
    if folder is None:
        raise _bad(name, "external data needs the model's folder; import it by its path")
    parts = PurePosixPath(location.replace("\\", "/")).parts
    windows = PureWindowsPath(location)
    outside = ".." in parts or "\0" in location or windows.drive or windows.root
    if not parts or outside or PurePosixPath(location).is_absolute():
        raise _bad(
            name,
            f"external data lies in the model's folder, got location {location!r}; copy it there",
        )
    place = folder
    for part in parts:
        place = place / part
        if place.is_symlink():
            raise _bad(name, f"external data {location!r} is behind a link; copy it")
    return place


def _read(place: Path, offset: int, length: int, name: str) -> bytes:
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
    try:
        handle = os.open(place, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        raise _bad(name, f"external data {place.name!r}: {error.strerror}") from None
    found = os.fstat(handle)
    if not stat.S_ISREG(found.st_mode) or found.st_nlink > 1:
        os.close(handle)
        raise _bad(name, f"external data {place.name!r} is no file of its own; copy it")
    with os.fdopen(handle, "rb") as file:
        if offset + length > found.st_size:
            raise _bad(
                name,
                f"bytes {offset} to {offset + length} of {place.name!r}, which has "
                f"{found.st_size}; copy it again",
            )
        file.seek(offset)
        data = file.read(length)
    if len(data) != length:
        raise _bad(name, f"external data {place.name!r} ends early; copy it again")
    return data


def _number(name: str, where: Mapping[str, str], key: str, default: int) -> int:
    text = where.get(key)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise _bad(name, f"{key} of external data is a number of bytes, got {text[:40]!r}")
    return int(text)


def _bad(name: str, what: str) -> OnnxFormatError:
    return OnnxFormatError(f"tensor {name!r}: {what}")
