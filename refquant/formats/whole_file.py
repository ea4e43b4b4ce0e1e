"""Files that are there whole, or not at all: what a writer of files needs of the disk.

A model is written for minutes, and a disk fills up, a job is cancelled, the power fails. Whoever
reads the path must then find what was there before, never half of the new file.

Left out: the folder's own entry is not flushed; after a power cut the *old* file may be there.

References
----------
POSIX ``rename``: the new name appears in one step, and replaces what had it.
"""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: str | os.PathLike[str]) -> Iterator[IO[bytes]]:
    """Yield a file that appears under ``path`` when the block ends, replacing what is there.

    If the block or the disk raises, ``path`` is what it was, and nothing is left beside it.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder) / "codes"
    ...     with whole_file(path) as file:
    ...         _ = file.write(b"new")
    ...         early = path.exists()
    ...     early, path.read_bytes()
    (False, b'new')
    """
    target = Path(path)
    # Beside the target: a rename within one file system is atomic, across two it is a copy.
    temporary = target.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with temporary.open("xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())  # the name must not appear before the content is on the disk
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)  # after replace there is nothing left to remove
