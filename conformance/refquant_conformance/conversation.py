"""What a backend is told and what it says: one verb, one argument, its replies.

Messages are tuples ``(verb, argument)``; every verb gets one reply, ``run`` one for each case, so
that the parent of a worker knows which case a dead process was working on. Nothing that a backend
raises gets out of here: it becomes an :class:`~refquant_conformance.answers.Answer`.
"""

import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Any

from refquant_conformance.about import described
from refquant_conformance.adapters.samples_files import seed_file
from refquant_conformance.answers import Answer
from refquant_conformance.environment import MODE, entered
from refquant_conformance.operators_formats import FILES
from refquant_conformance.protocol import (
    Backend,
    Capability,
    Case,
    Rejected,
    Result,
    Unsupported,
    with_layout,
)
from refquant_conformance.watched import watched

__all__ = ["BackendDiedError", "answer", "capabilities_of", "converse", "prepared"]


class BackendDiedError(RuntimeError):
    """An adapter's own child died or hung; the message says how."""


def answer(run: Any, case: Case) -> Answer:
    """Ask ``run`` one case, in its layout and environment, and catch what it raises.

    >>> def refuse(case):
    ...     raise Unsupported("no such thing")
    >>> answer(refuse, Case("quantize_linear", "f32_u8", {})).reason
    'no such thing'
    """
    inputs = {name: with_layout(array, case.layout) for name, array in case.inputs.items()}
    before = {name: array.tobytes() for name, array in inputs.items()}
    asked = replace(case, inputs=inputs)
    try:
        with entered(case.environment) as watch:
            result = run(asked)
    except Exception as error:  # whatever a foreign engine raises is its answer
        return _named(error)
    if not isinstance(result, Result):
        return Answer("broken", reason=f"run returned {type(result).__name__}, not a Result")
    changed = tuple(name for name, array in inputs.items() if array.tobytes() != before[name])
    return Answer("result", result, mutated=changed if watch.kept else (*changed, MODE))


def _named(error: Exception) -> Answer:
    """Return the answer that an exception is."""
    if isinstance(error, Unsupported):
        return Answer("unsupported", reason=str(error))
    if isinstance(error, Rejected):
        return Answer("rejected", reason=str(error) or "the inputs are refused")
    if isinstance(error, BackendDiedError):
        return Answer("crashed", reason=str(error))
    last = traceback.extract_tb(error.__traceback__)[-1]
    where = f"{os.path.basename(last.filename)}:{last.lineno}"
    return Answer("broken", reason=f"{type(error).__name__}: {error} ({where})")


def prepared(backend: Backend, case: Case) -> Any:
    """Return ``backend.prepare(case).run``; ``Unsupported`` if it has no ``prepare``."""
    prepare = getattr(backend, "prepare", None)
    if prepare is None:
        raise Unsupported("the backend has no prepare: nothing is kept between calls")
    return prepare(case).run


def converse(backend: Backend, verb: str, argument: Any) -> Iterator[Any]:
    """Yield the replies to one message."""
    if verb == "run":
        cases: Sequence[Case] = argument
        _announce(backend, cases)
        for case in cases:
            yield _one(backend, case)
    elif verb == "sequence":  # the first case is prepared, all are run on what was prepared
        yield from _sequence(backend, argument)
    elif verb == "reload":  # each case is written to bytes, read again, and run
        yield from (answer(partial(_reloaded, backend), case) for case in argument)
    elif verb == "load":
        yield _load(backend, *argument)
    elif verb in ("repro", "declared"):
        method = getattr(backend, verb, None)
        yield _caught(verb, lambda: method(argument) if method else None)
    elif verb == "about":
        yield _caught(verb, lambda: described(backend.info(), capabilities_of(backend)))
    else:
        raise ValueError(f"unknown verb {verb!r}")


def _announce(backend: Backend, cases: Sequence[Case]) -> None:
    """Tell a backend that wants to know which cases come next; what it raises is no answer."""
    announce = getattr(backend, "announce", None)
    if announce is not None and len(cases) > 1:
        with suppress(Exception):  # each case says what is wrong with it
            announce(cases)


def _reloaded(backend: Backend, case: Case) -> Result:
    """Run a case on its model after that was written and read again."""
    reload = getattr(backend, "reload", None)
    if reload is None:
        raise Unsupported("the backend has no reload: nothing of it is written and read again")
    result: Result = reload(case).run(case)
    return result


def _sequence(backend: Backend, cases: Sequence[Case]) -> Iterator[Answer]:
    """Prepare the first case, and run all of them on what was prepared."""
    if cases[0].op == "load":  # nothing of a file is kept
        yield from (_one(backend, case) for case in cases)
        return
    try:
        run = prepared(backend, cases[0])
    except Exception as error:  # as in `answer`: whatever is raised is the answer
        refusal = _named(error)
        yield from (refusal for _ in cases)
        return
    for case in cases:
        yield answer(run, case)


def _caught(verb: str, method: Callable[[], Any]) -> Any:
    """Return what a method returns, or a broken answer for what it raises."""
    try:
        return method()
    except Exception as error:  # whatever a foreign adapter raises is its answer
        return Answer("broken", reason=f"{verb}: {type(error).__name__}: {error}")


def _one(backend: Backend, case: Case) -> Answer:
    """Ask a case; a file is loaded, and has no outputs."""
    if case.op == "load":
        return _load(backend, case.scheme, case.inputs["x"].tobytes())
    return answer(backend.run, case)


def capabilities_of(backend: Backend) -> tuple[Capability, ...]:
    """Return what a backend lists, and the formats of which it does not say Unsupported.

    >>> from refquant_conformance.adapters.reference import Reference
    >>> [cell.scheme for cell in capabilities_of(Reference()) if cell.op == "load"]
    ['gguf', 'onnx', 'rq', 'safetensors', 'tflite']
    """
    listed = tuple(backend.capabilities())
    if not hasattr(backend, "load_bytes"):
        return listed
    loads = (Capability("load", name) for name in FILES if seed_file(name))
    return (*listed, *(c for c in loads if c not in listed and _loads(backend, c.scheme)))


def _loads(backend: Backend, file_format: str) -> bool:
    return _load(backend, file_format, seed_file(file_format)).kind != "unsupported"


def _load(backend: Backend, file_format: str, data: bytes) -> Answer:
    load = getattr(backend, "load_bytes", None)
    if load is None:
        return Answer("unsupported", reason="the backend loads no files")
    started = time.perf_counter()
    try:
        with watched() as events:
            load(file_format, data)
    except Unsupported as refusal:
        return Answer("unsupported", reason=str(refusal))
    except Rejected as refusal:
        return Answer("rejected", reason=str(refusal), mutated=events())
    except Exception as error:  # whatever a foreign loader raises is its answer
        return Answer("broken", reason=f"{type(error).__name__}: {error}")
    taken = {"seconds": f"{time.perf_counter() - started:.3f}"}
    return Answer("result", Result({}, taken), mutated=events())
