"""Any program as a backend: JSON lines on its standard input and output.

``cmd:./mybinary --fast`` starts the program once and asks it line by line; what the lines hold is
in :mod:`refquant_conformance.wire`. What it writes to standard error goes through, for debugging.
A program that ends, or that says something else than a reply, is told from one that computes
wrongly: the first is a crash, the second a broken adapter. Either is started again for the next
case, for nothing says which question its next line would answer.
"""

import contextlib
import json
import shlex
import shutil
import subprocess
import threading
from collections.abc import Iterable
from typing import Any

from refquant_conformance.adapters import BackendError
from refquant_conformance.conversation import BackendDiedError
from refquant_conformance.protocol import PROTOCOL, Capability, Case, Info, Result
from refquant_conformance.wire import WireError, case_to_json, dumps, result_from_json

__all__ = ["Command"]

_GREETING = 60.0  # seconds


class Command:
    """A program that speaks JSON lines."""

    protocol = PROTOCOL

    def __init__(self, setting: str = "") -> None:
        """Start the program; ``BackendError`` if it is not there or does not greet."""
        arguments = shlex.split(setting)
        if not arguments:
            raise BackendError("cmd: needs a program, as in 'cmd:./mybinary --fast'")
        if shutil.which(arguments[0]) is None:
            raise BackendError(f"cmd: no program {arguments[0]!r}; is the path right?")
        self._name = setting
        self._arguments = arguments
        self._asked = 0
        self._process = self._started()
        try:
            self._hello = self._greeting()
        except BackendError:
            self._stop()
            raise

    def close(self) -> None:
        """End the program."""
        self._stop()

    def info(self) -> Info:
        """Return the name and version that the program gives."""
        return Info(str(self._hello["name"]), str(self._hello["version"]))

    def capabilities(self) -> Iterable[Capability]:
        """Return the pairs of operator and scheme that the program lists."""
        return [Capability(op, scheme) for op, scheme in self._hello["capabilities"]]

    def run(self, case: Case) -> Result:
        """Send a case as a line, and read the reply."""
        if self._process.poll() is not None:
            self._process = self._started()
            self._greeting()
        self._asked += 1
        line = self._exchange(dumps(case_to_json(case, self._asked)))
        try:
            return result_from_json(line, case, self._asked)
        except WireError:
            self._stop()
            raise

    def _started(self) -> "subprocess.Popen[str]":
        try:
            return subprocess.Popen(
                self._arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
            )
        except OSError as error:  # a file that may be run, and holds no program
            raise BackendError(f"cmd: cannot start {self._name}: {error.strerror}") from None

    def _stop(self) -> int | None:
        """End the program; return what it ended with if it did so of itself."""
        code: int | None = None
        try:
            code = self._process.wait(0.5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for end in (self._process.stdin, self._process.stdout):
            with contextlib.suppress(OSError, ValueError):  # what was not written has no reader
                if end is not None:
                    end.close()
        return code

    def _exchange(self, line: str) -> str:
        to, source = self._process.stdin, self._process.stdout
        assert to is not None, "opened as a pipe"
        assert source is not None, "opened as a pipe"
        try:
            to.write(f"{line}\n")
            to.flush()
            reply = source.readline()
        except BrokenPipeError:
            reply = ""
        except UnicodeDecodeError:
            self._stop()
            raise WireError(f"cmd: {self._name} does not write UTF-8") from None
        if not reply:
            code = self._stop()
            how = "closed its output" if code is None else f"ended with {code}"
            raise BackendDiedError(f"{self._name} {how}")
        return reply

    def _greeting(self) -> dict[str, Any]:
        # A program that waits for something else would be waited for in vain.
        silent = threading.Timer(_GREETING, self._process.kill)
        silent.start()
        try:
            reply = json.loads(self._exchange(dumps({"hello": PROTOCOL})))
        except (ValueError, RecursionError, BackendDiedError) as error:
            late = f" within {_GREETING:g} s" if silent.finished.is_set() else ""
            raise BackendError(f"cmd: {self._name} does not greet{late}: {error}") from None
        finally:
            silent.cancel()
        wanted = ("protocol", "name", "version", "capabilities")
        missing = [key for key in wanted if not isinstance(reply, dict) or key not in reply]
        if missing:
            raise BackendError(f"cmd: the greeting of {self._name} lacks {', '.join(missing)}")
        if reply["protocol"] != PROTOCOL:
            raise BackendError(
                f"cmd: {self._name} speaks protocol {reply['protocol']!r}, this judge {PROTOCOL}"
            )
        pairs = reply["capabilities"]
        if not isinstance(pairs, list) or not all(
            isinstance(pair, list) and len(pair) == 2 and all(isinstance(p, str) for p in pair)
            for pair in pairs
        ):
            raise BackendError(
                f"cmd: capabilities of {self._name} must be a list of pairs of operator and scheme"
            )
        greeting: dict[str, Any] = reply
        return greeting
