"""Arrays in and out of ``.npz`` files: nothing pickled, nothing half written."""

import os
import tempfile
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant_runtime.errors import InputError

__all__ = ["read_npz", "write_npz"]

LIMIT = 2**32  # bytes an archive may unpack to


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive; anything odd is an :class:`InputError`."""
    where = Path(path)
    if not where.is_file():
        raise InputError(f"{where}: no such file; give an .npz file with one array an input")
    try:
        with zipfile.ZipFile(where) as archive:
            total = sum(item.file_size for item in archive.infolist())
            if total > LIMIT:
                raise InputError(f"{where}: unpacks to {total} bytes, more than {LIMIT}")
        with np.load(where, allow_pickle=False) as archive_arrays:
            return {name: archive_arrays[name] for name in archive_arrays.files}
    except InputError:
        raise
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, KeyError, NotImplementedError,
            RuntimeError, MemoryError) as error:  # fmt: skip
        raise InputError(
            f"{where}: not a readable .npz file ({error}); write it with numpy.savez"
        ) from error


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write arrays to an archive, whole or not at all; return its size."""
    where = Path(path)
    try:
        handle, name = tempfile.mkstemp(dir=where.parent, prefix=f".{where.name}.", suffix=".npz")
    except OSError as error:
        raise InputError(f"{where}: cannot be written ({error.strerror})") from error
    try:
        with os.fdopen(handle, "wb") as file:
            # numpy's own keyword is called "file": names go through a dict that cannot clash.
            _savez(file, arrays)
        os.replace(name, where)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    return where.stat().st_size


def _savez(file: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.ascontiguousarray(array), allow_pickle=False)
