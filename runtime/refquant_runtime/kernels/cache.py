"""Where compiled kernels are kept, so that only the first start on a machine compiles.

numba notices when the file of a kernel changed, but not when a file that the kernel calls did. So
the folder's name has a digest of all our sources: another version never finds these kernels. It is
of the sources that this process has imported: where they changed before it compiled its first
kernel (an upgrade, an edit), it compiles for itself alone, because the next process would find old
machine code under the new digest, and run it on memory that is laid out otherwise.

The digest is of the compiler and the CPU, too. numba keeps an index for each kernel, and writes it
before the code that it points to: two versions, or two CPUs that share a home, would meet there.

``NUMBA_CACHE_DIR`` or ``XDG_CACHE_HOME`` move the folder; a machine where it cannot be written
compiles at every start.
"""

import hashlib
import logging
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import llvmlite
import numba
from llvmlite import binding
from numba import cfunc, njit
from numba.core import config

__all__ = ["cache_folder", "cached_cfunc", "cached_njit", "notice_compilation", "unless_damaged"]

_LOG = logging.getLogger("refquant_runtime")


def _sources() -> str:
    """Return the digest of what a kernel's machine code depends on."""
    package = Path(__file__).parent.parent
    compiler = (numba.__version__, llvmlite.__version__, config.CPU_NAME, config.CPU_FEATURES)
    cpu = (binding.get_host_cpu_name(), binding.get_host_cpu_features().flatten())
    digest = hashlib.sha256(repr(compiler + cpu).encode())
    for source in sorted(package.rglob("*.py")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


_IMPORTED = _sources()


@cache
def cache_folder() -> Path | None:
    """Return the folder of this version's compiled kernels, or ``None`` where none can be written.

    None, too, where the sources are no longer those that were imported.

    >>> folder = cache_folder()
    >>> folder is None or len(folder.name) == 16
    True
    """
    if _sources() != _IMPORTED:
        _LOG.warning("refquant-runtime: its files have changed since it started; start it again")
        return None
    chosen = os.environ.get("NUMBA_CACHE_DIR") or os.environ.get("XDG_CACHE_HOME")
    root = Path(chosen) if chosen else Path.home() / ".cache"
    folder = root / "refquant-runtime" / _IMPORTED
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            return folder
    except OSError:
        return None


@contextmanager
def _our_folder() -> Iterator[bool]:
    """Point numba at our folder while one function is set up; yield whether there is one."""
    folder, before = cache_folder(), config.CACHE_DIR
    config.CACHE_DIR = str(folder or "")
    try:
        yield folder is not None
    finally:
        config.CACHE_DIR = before


def cached_njit(function: Any) -> Any:
    """Jit a function that runs without the GIL, compiled at its first call, then kept."""
    with _our_folder() as possible:
        return njit(nogil=True, cache=possible, error_model="numpy")(function)


def cached_cfunc(signature: Any, function: Any) -> Any:
    """Compile a function with a C interface now, or take it from the folder."""
    with _our_folder() as possible:
        compiled = unless_damaged(
            lambda: cfunc(signature, cache=possible, error_model="numpy")(function)
        )
    if not compiled.cache_hits:
        notice_compilation()
    return compiled


def unless_damaged(compile_now: Callable[[], Any]) -> Any:
    """Return what ``compile_now`` gives; if that fails, once more with an empty folder.

    Files cut short by a loss of power make numba raise whatever its pickles do.
    """
    try:
        return compile_now()
    except Exception:
        folder = cache_folder()
        for file in [] if folder is None else [*folder.rglob("*.nbi"), *folder.rglob("*.nbc")]:
            file.unlink(missing_ok=True)
        return compile_now()


@cache
def notice_compilation() -> None:
    """Say once that this start takes longer."""
    _LOG.warning(
        "refquant-runtime: compiling kernels for this CPU; this takes up to a minute, once"
    )
