"""Pipes and processes: waiting ends, files stay small, what cannot be read is told."""

import pickle
import subprocess
import sys
import tempfile
import time

import pytest

from refquant_conformance.answers import Answer
from refquant_conformance.child import ended, pipe, received, waited


def test_a_message_that_cannot_be_read_here_is_a_broken_answer() -> None:
    reading, writing = pipe()
    writing.send_bytes(pickle.dumps(Answer("result")).replace(b"answers", b"answerz"))
    got = received(reading)
    assert (got.kind, "cannot be read" in got.reason) == ("broken", True), f"{got}"
    writing.close()
    with pytest.raises(EOFError):
        received(reading)


def test_waiting_ends_and_a_message_ends_it() -> None:
    reading, writing = pipe()
    started = time.monotonic()
    assert not waited(reading, 0.05), "a message of nobody"
    assert time.monotonic() - started < 5, "waited for too long"
    writing.send(1)
    assert waited(reading, 0.0), "the message is not seen"


def test_what_is_printed_does_not_fill_the_disk() -> None:
    reading, _writing = pipe()
    with tempfile.TemporaryFile() as said:
        said.write(b"x" * (1 << 21))
        said.flush()
        waited(reading, 0.0, said)
        assert said.seek(0, 2) == 0, "the file was kept as it was"
        said.write(b"the end")
        said.flush()
        waited(reading, 0.0, said)
        said.seek(0)
        assert said.read() == b"the end", "a small file was cut"


@pytest.mark.parametrize(
    ("code", "how"),
    [
        ("import os; os.setsid(); raise SystemExit(3)", "exited with 3"),
        ("import os; os.setsid(); os.abort()", "killed by SIGABRT"),
        ("import os, time; os.setsid(); time.sleep(60)", "was ended"),
    ],
)
def test_how_a_process_ended_is_told(code: str, how: str) -> None:
    process = subprocess.Popen([sys.executable, "-S", "-c", code])
    if how != "was ended":
        process.wait()
    assert ended(process) == how, f"{how}: {process.returncode}"
    assert process.poll() is not None, "it goes on"
