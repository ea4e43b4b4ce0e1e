"""The runtime as a process of its own: jobs in, results out, one line of JSON each.

`refquant` does not import `refquant_runtime`: two implementations of one text stay two, and what is
compared are files and bytes. ``python -m refquant_runtime batch -`` runs jobs in the order they are
sent and answers each with one line, so the caller can prepare the next meanwhile.
"""

import hashlib
import json
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from queue import Queue
from threading import Thread
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["MODULE", "Runtime", "digest", "runtime"]

MODULE = "refquant_runtime"


@dataclass(frozen=True, slots=True)
class Runtime:
    """A running process, what it has said so far, and who wants to know of each answer."""

    process: "subprocess.Popen[str]"
    answers: "Queue[str | None]"
    errors: "deque[str]"
    readers: tuple[Thread, ...]

    def submit(self, job: Mapping[str, Any]) -> None:
        """Send a job; return at once. `ValueError` if the process has ended."""
        assert self.process.stdin is not None, "a pipe"
        try:
            self.process.stdin.write(json.dumps(job) + "\n")
            self.process.stdin.flush()
        except OSError as error:
            raise self._dead() from error

    def check(self) -> None:
        """Raise `ValueError` if the process has ended: no result will come any more."""
        if self.process.poll() is not None:
            raise self._dead()

    def result(self) -> Mapping[str, Any]:
        """Wait for the next answer, in the order of the jobs; `ValueError` says why none comes."""
        line = self.answers.get()
        if line is None:
            raise self._dead()
        try:
            answer: Mapping[str, Any] = json.loads(line)
        except ValueError as error:
            raise ValueError(
                f"the runtime answered {line[:80]!r}, which is no result; install the version of "
                "refquant-runtime that is refquant's"
            ) from error
        return answer

    def _dead(self) -> ValueError:
        code = self.process.wait()
        for reader in self.readers:
            reader.join()
        said = next((line for line in reversed(self.errors) if line.strip()), "")
        if not said:
            said = f"ended with exit code {code}" if code >= 0 else f"killed by signal {-code}"
        return ValueError(f"the runtime failed: {said.strip()}")


@contextmanager
def runtime(on_answer: Callable[[], None]) -> Iterator[Runtime]:
    """Yield a running process; end it when the block ends, however it ends.

    ``on_answer`` is called, from another thread, when an answer has arrived.
    """
    if find_spec(MODULE) is None:
        raise ValueError(
            f"{MODULE} is not installed, and the demo runs every file in it; "
            "install it, in a clone of refquant, with: pip install ./runtime"
        )
    # -P: a file of the current folder that is called like a module of ours is not ours.
    process = subprocess.Popen(
        [sys.executable, "-P", "-m", MODULE, "batch", "-"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True, encoding="utf-8", errors="replace",
    )  # fmt: skip
    answers: Queue[str | None] = Queue()
    errors: deque[str] = deque(maxlen=50)
    readers = (
        Thread(target=_pass_on, args=(process.stdout, answers, on_answer), daemon=True),
        Thread(target=errors.extend, args=(process.stderr,), daemon=True),
    )
    for reader in readers:
        reader.start()
    try:
        yield Runtime(process, answers, errors, readers)
    finally:
        process.kill()  # all answers that anybody waits for have come
        process.wait()
        for reader in readers:
            reader.join()
        for pipe in (process.stdin, process.stdout, process.stderr):
            _close(pipe)


def digest(outputs: Mapping[str, NDArray[Any]]) -> str:
    """Return what the runtime calls ``outputs_sha256``: of the digests, in the order of names."""
    parts = [
        hashlib.sha256(np.asarray(outputs[name], order="C").tobytes()).hexdigest()
        for name in sorted(outputs)
    ]
    return hashlib.sha256("".join(parts).encode()).hexdigest()


def _pass_on(lines: IO[str], answers: "Queue[str | None]", on_answer: Callable[[], None]) -> None:
    for line in lines:
        answers.put(line)
        on_answer()
    answers.put(None)


def _close(pipe: IO[str] | None) -> None:
    try:
        if pipe is not None:
            pipe.close()
    except OSError:  # what was still to be written has no reader
        pass
