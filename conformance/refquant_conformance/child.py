"""What a worker's parent does with pipes and processes: wait, read, keep files small, end.

Nothing here knows what is said; :mod:`refquant_conformance.subject` does.
"""

import contextlib
import os
import pickle
import signal
import subprocess
import time
from multiprocessing.connection import Connection
from typing import IO, Any

from refquant_conformance.answers import Answer

__all__ = ["ended", "pipe", "received", "waited"]

_SAID = 1 << 20  # bytes that are kept of what a backend prints


def pipe() -> tuple[Connection, Connection]:
    """Return the end that reads and the end that writes.

    >>> reading, writing = pipe()
    >>> writing.send("a word")
    >>> received(reading)
    'a word'
    """
    reading, writing = os.pipe()
    return Connection(reading, writable=False), Connection(writing, readable=False)


def received(source: Connection) -> Any:
    """Return a message, or in its place a broken answer for one that cannot be read here.

    ``EOFError`` or ``OSError`` if nobody is there.
    """
    data = source.recv_bytes()
    try:
        return pickle.loads(data)
    except Exception as error:  # a class that exists in the worker only, for one
        return Answer("broken", reason=f"the answer cannot be read: {error}")


def waited(source: Connection, limit: float, said: IO[bytes] | None = None) -> bool:
    """Wait for a message, ``limit`` seconds at most; return whether there is one.

    Meanwhile ``said``, the file that the other side prints to, is kept from filling the disk.
    """
    end = time.monotonic() + limit
    while True:
        rest = end - time.monotonic()
        there = source.poll(max(0.0, min(rest, 0.5)))
        if said is not None and os.fstat(said.fileno()).st_size > _SAID:
            said.seek(0)  # the child writes at this place too: it is the same open file
            said.truncate()
        if there or rest <= 0:
            return there


def ended(process: "subprocess.Popen[bytes]") -> str:
    """End a process and whatever it started; say how it ended, of itself or not."""
    try:
        code = process.wait(0.5)
    except subprocess.TimeoutExpired:
        code = None
    # It may be gone already, or not yet have a group of its own.
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.kill()
    process.wait()
    if code is None:
        return "was ended"
    return f"killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
