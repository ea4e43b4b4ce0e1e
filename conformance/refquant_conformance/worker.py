"""The child process: one backend with one set of knobs, answering cases until told to stop.

Engines crash, hang, print and change global state. So each runs in a process of its own; this is
what that process does. It is started by ``subject`` as ``python -m refquant_conformance.worker``
with two inherited pipes; what the backend prints goes to a file, never into the conversation.
"""

import os
import pickle
import sys
from collections.abc import Sequence
from multiprocessing.connection import Connection
from typing import Any

from refquant_conformance.adapters import BackendError, load_backend
from refquant_conformance.answers import Answer
from refquant_conformance.conversation import converse

__all__: list[str] = []


def _main(arguments: Sequence[str]) -> int:
    incoming, outgoing = (Connection(int(number)) for number in arguments[:2])
    os.setsid()  # so that the parent can end this process and all that it started
    spec, knobs = incoming.recv()
    try:
        backend = load_backend(spec)
        if knobs:
            configure = getattr(backend, "configure", None)
            if configure is None:
                raise BackendError(f"{spec} has no configure, and knobs were given: {knobs}")
            configure(**knobs)
    except Exception as error:  # the parent raises it again, with its message
        outgoing.send((type(error).__name__, str(error)))
        return 1
    outgoing.send(None)
    while True:
        try:
            verb, argument = incoming.recv()
        except EOFError:
            return 0
        for reply in converse(backend, verb, argument):
            _send(outgoing, reply)


def _send(outgoing: Connection, reply: Any) -> None:
    """Send a reply, or in its place that it is one that no pipe carries."""
    try:
        outgoing.send(reply)
    except (pickle.PicklingError, AttributeError, TypeError) as error:
        outgoing.send(Answer("broken", reason=f"the answer cannot be sent: {error}"))


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
