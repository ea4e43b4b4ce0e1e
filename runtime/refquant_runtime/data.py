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

__all__ = ["check_writable", "read_npz", "write_npz"]

LIMIT = 2**32  # bytes an archive may unpack to


def read_npz(path: str | os.PathLike[str]) -> dict[str, NDArray[Any]]:
    """Return the arrays of an archive; anything odd is an :class:`InputError`."""
    where = Path(path)
    try:
        if not where.is_file():
            kind = "is not a file" if where.exists() else "no such file"
            raise InputError(f"{where}: {kind}; give an .npz file with one array an input")
        with zipfile.ZipFile(where) as archive:
            total = sum(item.file_size for item in archive.infolist())
            if total > LIMIT:
                raise InputError(f"{where}: unpacks to {total} bytes, more than {LIMIT}; split it")
        with np.load(where, allow_pickle=False) as archive_arrays:
            return {name: archive_arrays[name] for name in archive_arrays.files}
    except InputError:
        raise
    except PermissionError as error:
        raise InputError(
            f"{where}: this user may not read it; give a file that can be read"
        ) from error
    except Exception as error:  # zipfile, zlib and NumPy's parser raise what they like
        problem = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{where}: not a readable .npz file ({problem:.200}); write it with numpy.savez"
        ) from error


def check_writable(path: str | os.PathLike[str]) -> None:
    """Refuse a path that no file can be written to: before a model is run, not after it.

    >>> check_writable(".")
    Traceback (most recent call last):
    refquant_runtime.errors.InputError: .: cannot be written (it is a folder); give the path of a \
file
    """
    where = Path(path)
    problem = None
    try:
        if where.is_dir():
            problem = "it is a folder); give the path of a file"
        elif where.exists() and not where.is_file():
            problem = "it is a device or a pipe); give the path of a file"
        elif not where.parent.is_dir():
            problem = f"there is no folder {where.parent}); make it first"
        elif not os.access(where.parent, os.W_OK | os.X_OK):
            problem = f"this user may not write to {where.parent.absolute()}); choose another place"
    except OSError as error:  # a name that is too long, a folder that may not be entered
        problem = f"{error.strerror or error}); choose another place"
    if problem:
        raise InputError(f"{where}: cannot be written ({problem}")


def write_npz(path: str | os.PathLike[str], arrays: Mapping[str, NDArray[Any]]) -> int:
    """Write arrays to an archive, whole or not at all; return its size."""
    check_writable(path)
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
