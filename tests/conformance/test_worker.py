"""The child process: what it says where a backend does not start, and when it goes."""

import os
import subprocess
import sys
from collections.abc import Iterator
from multiprocessing.connection import Connection

import numpy as np
import pytest

from refquant_conformance.arithmetic.quantize import case_of

Ends = tuple[Connection, Connection, "subprocess.Popen[bytes]"]


@pytest.fixture
def child() -> Iterator[Ends]:
    """A worker that waits to be told which backend it is."""
    reading, to = os.pipe()
    source, writing = os.pipe()
    process = subprocess.Popen(
        [sys.executable, "-m", "refquant_conformance.worker", str(reading), str(writing)],
        pass_fds=(reading, writing), stdin=subprocess.DEVNULL,
    )  # fmt: skip
    for number in (reading, writing):
        os.close(number)
    ends = Connection(to, readable=False), Connection(source, writable=False)
    yield (*ends, process)
    for end in ends:
        end.close()
    process.kill()
    process.wait()


def test_it_says_none_when_ready_answers_and_goes_when_nobody_asks(child: Ends) -> None:
    to, source, process = child
    to.send(("reference:onnx", {}))
    assert source.recv() is None, "not ready"
    case = case_of("f32_u8", np.array([0.5, 1.5], np.float32), 1.0, 0)
    to.send(("run", [case, case]))
    for _ in range(2):
        answer = source.recv()
        assert answer.result.outputs["y"].tolist() == [0, 2], f"{answer}"
    to.close()
    assert process.wait(10) == 0, "it stays"


def test_it_leads_a_group_of_its_own_so_that_all_it_starts_can_be_ended(child: Ends) -> None:
    to, source, process = child
    to.send(("reference:onnx", {}))
    source.recv()
    assert os.getpgid(process.pid) == process.pid, "in the judge's group"


@pytest.mark.parametrize(
    ("spec", "knobs", "trouble"),
    [
        ("nobody", {}, ("BackendError", "no backend 'nobody'")),
        ("reference:none", {}, ("BackendError", "reference:none: no preset 'none'")),
        ("reference:onnx", {"threads": 2}, ("BackendError", "has no configure")),
    ],
)
def test_what_does_not_start_is_told_and_it_goes(
    child: Ends, spec: str, knobs: dict[str, int], trouble: tuple[str, str]
) -> None:
    to, source, process = child
    to.send((spec, knobs))
    kind, words = source.recv()
    assert (kind, trouble[1] in words) == (trouble[0], True), f"{kind}: {words}"
    assert process.wait(10) == 1, "it stays"
