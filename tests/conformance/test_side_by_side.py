"""Cells in processes side by side: the findings are those of one, and no process is left."""

import os
import signal
import subprocess
import sys
import time
from functools import partial

import pytest

from refquant_conformance.adapters import BackendError, MissingBackendError, load_backend
from refquant_conformance.judge import judge
from refquant_conformance.protocol import Capability
from refquant_conformance.side_by_side import DEFAULT_JOBS, over_cells
from refquant_conformance.subject import Local, Subject, Worker

CELLS = (Capability("cast", "f32_f16"), Capability("cast", "f32_bf16"))
ASK_ONE = """
from refquant_conformance.side_by_side import over_cells
from refquant_conformance.subject import Worker
from tests.conformance.test_side_by_side import CELLS, waits
if __name__ == "__main__":
    over_cells(Worker("reference:onnx"), CELLS, waits, 2)
"""


def named(subject: Subject, cell: Capability, *, ending: str) -> str:
    return f"{subject.info.name} {cell.scheme}{ending}"


def dies(subject: Subject, cell: Capability) -> str:
    os._exit(3)


def refuses(subject: Subject, cell: Capability) -> str:
    raise MissingBackendError(f"{cell.scheme} is not here")


def waits(subject: Subject, cell: Capability) -> str:
    print(os.getpid(), flush=True)
    time.sleep(600)
    return ""


def test_what_is_found_comes_in_the_order_of_the_cells() -> None:
    task = partial(named, ending="!")
    worker = Worker("reference:onnx")
    try:
        found = {jobs: over_cells(worker, CELLS, task, jobs) for jobs in (1, 2, 7)}
    finally:
        worker.close()
    expected = ["reference:onnx f32_f16!", "reference:onnx f32_bf16!"]
    assert found == {1: expected, 2: expected, 7: expected}, f"{found}"


def test_a_judgement_is_the_same_with_any_number_of_jobs() -> None:
    worker = Worker("mutant:half_away")
    asked = partial(judge, worker, ops=("quantize_linear",), schemes=("f32_u8", "f32_i8"))
    try:
        one, two = (asked(properties=("QDQ-05",), jobs=n) for n in (1, 2))
    finally:
        worker.close()
    assert one.red, "the planted bug is seen"
    told = [[(c.property, c.scheme, c.verdict, c.detail, c.cases) for c in j.cells]
            for j in (one, two)]  # fmt: skip
    assert told[0] == told[1], f"{told}"
    assert [i.name for i in one.identified] == [i.name for i in two.identified], "identified"
    assert [i.evidence[0].observed for i in one.identified] == [
        i.evidence[0].observed for i in two.identified
    ], "evidence"


@pytest.mark.parametrize(
    ("jobs", "subject", "message"),
    [
        (0, Worker("reference:onnx"), "jobs must be >= 1, got 0"),
        (2, Local(load_backend("reference:onnx")), "jobs=2 takes a Worker, got Local"),
    ],
)
def test_jobs_that_cannot_be(jobs: int, subject: Subject, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        over_cells(subject, CELLS, partial(named, ending=""), jobs)


def test_a_process_that_ends_by_itself_is_one_error() -> None:
    with pytest.raises(BackendError, match="a process of the judge ended by itself"):
        over_cells(Worker("reference:onnx"), CELLS, dies, 2)


def test_an_error_keeps_its_type() -> None:
    with pytest.raises(MissingBackendError, match="f32_f16 is not here"):
        over_cells(Worker("reference:onnx"), CELLS, refuses, 2)


def test_default_jobs() -> None:
    assert 1 <= DEFAULT_JOBS <= 4, f"{DEFAULT_JOBS}"


def test_processes_end_with_a_judge_that_was_killed(pytestconfig: pytest.Config) -> None:
    judging = subprocess.Popen(
        [sys.executable, "-c", ASK_ONE], stdout=subprocess.PIPE, cwd=pytestconfig.rootpath
    )
    assert judging.stdout is not None, "asked for"
    number = int(judging.stdout.readline())
    judging.send_signal(signal.SIGKILL)
    judging.wait()
    judging.stdout.close()
    for _ in range(100):
        try:
            os.kill(number, 0)
        except ProcessLookupError:
            return
        time.sleep(0.1)
    pytest.fail(f"process {number} lives on")
