"""The one who is asked: a backend behind a wall, so that nothing it does can hurt the judge.

A :class:`Subject` takes cases and returns one :class:`~refquant_conformance.answers.Answer` each,
whatever happens: a worker that dies or is silent for too long gives ``crashed`` or ``hung`` for the
case it was at, and a new worker goes on with the next one. :class:`Local` asks a backend in this
process instead: for the reference and for planted bugs, which are ours and fast.
"""

import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import IO, Any, Protocol

from refquant_conformance import adapters
from refquant_conformance.about import described
from refquant_conformance.answers import Answer, well_formed
from refquant_conformance.child import ended, pipe, received, waited
from refquant_conformance.conversation import capabilities_of, converse
from refquant_conformance.protocol import Backend, Capability, Case, Info
from refquant_conformance.silence import Silences

__all__ = ["Local", "Subject", "Worker"]

Knobs = Mapping[str, str | int]
TIME_LIMIT = 20.0
"""Seconds for one case. Every case of the suite takes milliseconds."""
_STARTING = 600.0  # an engine with a compiler inside starts slowly, the first time


class Subject(Protocol):
    """A backend with its knobs set."""

    @property
    def info(self) -> Info:
        """Who answers."""

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What is computed."""

    def ask(self, cases: Sequence[Case]) -> list[Answer]:
        """Return one answer a case."""

    def send(self, verb: str, argument: Any, count: int = 1) -> list[Any]:
        """Send another message of ``conversation.converse``; return its ``count`` replies."""

    def variant(self, knobs: Knobs) -> "Subject":
        """Return the same backend with other knobs; it is closed with this one."""

    def twin(self) -> "Subject":
        """Return the same backend in other memory; it is closed with this one."""

    def close(self) -> None:
        """End what was started."""


@dataclass(slots=True)
class Local:
    """A backend in this process; ``spec`` names it where others like it are wanted.

    >>> from refquant_conformance.adapters import load_backend
    >>> Local(load_backend("reference:onnx")).info.name
    'reference:onnx'
    """

    backend: Backend
    spec: str = ""

    @property
    def info(self) -> Info:
        """Who answers."""
        return self.backend.info()

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What is computed."""
        return described(self.backend.info(), capabilities_of(self.backend))[1]

    def ask(self, cases: Sequence[Case]) -> list[Answer]:
        """Return one answer a case."""
        replies = list(converse(self.backend, "run", cases))
        return [well_formed(case, reply) for case, reply in zip(cases, replies, strict=True)]

    def send(self, verb: str, argument: Any, count: int = 1) -> list[Any]:
        """Return the replies to a message."""
        return list(converse(self.backend, verb, argument))

    def variant(self, knobs: Knobs) -> "Subject":
        """Return the same backend with other knobs."""
        other = self.twin()
        configure = getattr(other.backend, "configure", None)
        if configure is None:
            raise ValueError(f"{self.spec} has no configure, and knobs were given: {dict(knobs)}")
        configure(**knobs)
        return other

    def twin(self) -> "Local":
        """Return the same backend, made anew."""
        if not self.spec:
            raise ValueError("a backend without a name cannot be made again")
        return Local(adapters.load_backend(self.spec), self.spec)

    def close(self) -> None:
        """Nothing was started."""


@dataclass(slots=True)
class Worker:
    """A backend in a process of its own, started when first asked."""

    spec: str
    knobs: Knobs = field(default_factory=dict)
    time_limit: float = TIME_LIMIT
    _process: "subprocess.Popen[bytes] | None" = None
    _to: Connection | None = None
    _from: Connection | None = None
    _said: IO[bytes] | None = None
    _about: tuple[Info, tuple[Capability, ...]] | None = None
    _twin: "Worker | None" = None
    _variants: dict[tuple[tuple[str, str | int], ...], "Worker"] = field(default_factory=dict)
    _silences: Silences = field(default_factory=Silences)

    @property
    def info(self) -> Info:
        """Who answers."""
        return self._asked_about()[0]

    @property
    def capabilities(self) -> tuple[Capability, ...]:
        """What is computed."""
        return self._asked_about()[1]

    def ask(self, cases: Sequence[Case]) -> list[Answer]:
        """Return one answer a case; start again after a death or a silence.

        Who hung once is not waited for again: the same case has the same answer at once.
        """
        answers: list[Answer] = []
        while len(answers) < len(cases):
            waiting = self._silences.before(cases[len(answers) :])
            if not waiting:
                answers.append(self._silences.answer(cases[len(answers)]))
                continue
            answers += self._some("run", waiting, len(waiting))
            self._silences.note(cases[len(answers) - 1], answers[-1])
        return [well_formed(case, reply) for case, reply in zip(cases, answers, strict=True)]

    def send(self, verb: str, argument: Any, count: int = 1) -> list[Any]:
        """Return the replies to a message; a dead worker's last reply says so, and ends them."""
        return self._some(verb, argument, count)

    def variant(self, knobs: Knobs) -> Subject:
        """Return the same backend with other knobs, in another process."""
        key = tuple(sorted({**self.knobs, **knobs}.items()))
        if key not in self._variants:
            self._variants[key] = Worker(self.spec, dict(key), self.time_limit)
        return self._variants[key]

    def twin(self) -> Subject:
        """Return the same backend in another process, always the same one."""
        if self._twin is None:
            self._twin = Worker(self.spec, self.knobs, self.time_limit)
        return self._twin

    def close(self) -> None:
        """End the processes."""
        for other in (*self._variants.values(), self._twin):
            if other is not None:
                other.close()
        self._end()

    def _asked_about(self) -> tuple[Info, tuple[Capability, ...]]:
        if self._about is None:
            (reply,) = self._some("about", None, 1)
            if isinstance(reply, Answer):
                raise adapters.BackendError(f"{self.spec} {reply.kind}: {reply.reason}")
            self._about = reply
        return self._about

    def _some(self, verb: str, argument: Any, count: int) -> list[Any]:
        """Return replies until all are there or the worker is gone."""
        replies: list[Any] = []
        try:
            to, source = self._running()
        except adapters.BackendError as error:
            if self._about is None:
                raise
            return [Answer("crashed", reason=f"does not start again: {error}")]
        try:
            to.send((verb, argument))
            while len(replies) < count:
                limit = _STARTING if verb == "about" else self.time_limit
                if not waited(source, limit, self._said):
                    self._end()
                    return [*replies, Answer("hung", reason=f"no answer in {limit:g} s")]
                replies.append(received(source))
        except (EOFError, OSError):
            replies.append(Answer("crashed", reason=self._end()))
        return replies

    def _running(self) -> tuple[Connection, Connection]:
        if self._process is None or self._to is None or self._from is None:
            return self._start()
        return self._to, self._from

    def _start(self) -> tuple[Connection, Connection]:
        child_in, to = pipe()
        source, child_out = pipe()
        said = tempfile.TemporaryFile()  # noqa: SIM115  open for as long as the child lives
        self._said = said
        arguments = [sys.executable, "-m", "refquant_conformance.worker"]
        numbers = (child_in.fileno(), child_out.fileno())
        self._process = subprocess.Popen(
            [*arguments, *map(str, numbers)],
            pass_fds=numbers, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
        )  # fmt: skip
        child_in.close()
        child_out.close()
        self._to, self._from = to, source
        to.send((self.spec, dict(self.knobs)))
        try:
            trouble = (
                source.recv() if source.poll(_STARTING) else ("BackendError", "does not start")
            )
        except EOFError:
            said.seek(0)
            lines = said.read().decode(errors="replace").strip().splitlines()
            trouble = ("BackendError", f"{self._end()}: {lines[-1] if lines else 'nothing said'}")
        if trouble is not None:
            self._end()
            kind = getattr(adapters, trouble[0], adapters.BackendError)
            raise kind(f"{trouble[1]}")
        return to, source

    def _end(self) -> str:
        """End the worker and whatever it started; say how it ended."""
        process, self._process = self._process, None
        for opened in (self._to, self._from, self._said):
            if opened is not None:
                opened.close()
        self._to = self._from = self._said = None
        if process is None:
            return "was not running"
        return ended(process)
