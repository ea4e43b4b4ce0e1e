"""Arrays in and out of ``.npz`` files: nothing pickled, nothing half written."""

import os
import secrets
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
    except Exception as error:  # zipfile, zlib and NumPy's parser raise what they like
        problem = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{where}: not a readable .npz file ({problem:.200}); write it with numpy.savez"
        ) from error


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write arrays to an archive, whole or not at all; return its size."""
    where = Path(path)
    # Beside the target: a rename within one file system is atomic. The mode is the user's default.
    temporary = where.with_name(f".{secrets.token_hex(8)}.npz.tmp")
    try:
        with temporary.open("xb") as file:
            _savez(file, arrays)
        temporary.replace(where)
        return where.stat().st_size
    except (OSError, ValueError) as error:  # ValueError: no name, or one with a NUL
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"{where}: cannot be written ({reason}); choose another place") from error
    finally:
        temporary.unlink(missing_ok=True)


def _savez(file: Any, arrays: Mapping[str, NDArray[Any]]) -> None:
    with zipfile.ZipFile(file, "w", zipfile.ZIP_STORED, allowZip64=True) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, np.asarray(array, order="C"), allow_pickle=False)
