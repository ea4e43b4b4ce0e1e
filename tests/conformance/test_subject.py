"""Workers: whatever a backend does, each case has one answer, and each fault its own word."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError, MissingBackendError, load_backend
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.environment import MODE
from refquant_conformance.judge import judge
from refquant_conformance.protocol import Case
from refquant_conformance.subject import Local, Worker
from tests.conformance.bad_backends import HERE, TRIGGER, Honest

ROOT = Path(__file__).parents[2]
X = np.array([0.5, 1.5, -3.0, 300.0], np.float32)


@pytest.fixture(autouse=True)
def _found_by_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The backends of this suite are found by the processes that it starts."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "conformance"))))


@pytest.fixture
def worker(request: pytest.FixtureRequest) -> Iterator[Worker]:
    made = Worker(f"{HERE}:{request.param}", time_limit=5.0)
    yield made
    made.close()


def case(*, fatal: bool = False) -> Case:
    return case_of("f32_u8", X, TRIGGER if fatal else 0.5, 3)


def verdicts(worker: Worker, *properties: str) -> dict[str, str]:
    return {cell.property: cell.verdict for cell in judge(worker, properties=properties).cells}


@pytest.mark.parametrize("worker", ["Honest"], indirect=True)
def test_no_fault_no_red_line(worker: Worker) -> None:
    assert set(verdicts(worker, "QDQ-02", "X-12").values()) == {"BIT_EXACT"}, "red"


AT_START = {
    "Missing": (MissingBackendError, r"an_engine_that_nobody_has is not .*conformance\[nobody\]"),
    "OfTomorrow": (BackendError, "speaks protocol 2, this judge 1"),
    "NoBackend": (BackendError, "no capabilities and no run"),
    "EndsAtStart": (BackendError, "exited with 3: no licence found"),
    "RaisesAtStart": (BackendError, "raised RuntimeError: no device; a class or a function"),
    "quantized": (BackendError, "raised TypeError: .* missing 1 .*argument.*; a class or a func"),
    "NotThere": (BackendError, "has no NotThere"),
}


@pytest.mark.parametrize("name", AT_START)
def test_what_does_not_start_says_why(name: str) -> None:
    kind, words = AT_START[name]
    worker = Worker(f"{HERE}:{name}")
    with pytest.raises(kind, match=words):
        _ = worker.info
    worker.close()


def test_nobody_is_no_backend() -> None:
    with pytest.raises(BackendError, match="no backend 'nobody'"):
        _ = Worker("nobody").info
    with pytest.raises(BackendError, match="cannot import no_such_package"):
        _ = Worker("no_such_package.mod:Class").info


def test_a_module_that_fails_to_import_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "fails_to_import.py").write_text("{}['KIND']\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    with pytest.raises(BackendError, match=r"^fails_to_import:Mine: .* raised KeyError: 'KIND'"):
        _ = Worker("fails_to_import:Mine").info


def test_knobs_for_who_has_none_are_refused() -> None:
    with pytest.raises(BackendError, match="has no configure"):
        _ = Worker(f"{HERE}:Honest", {"threads": 2}).info


ENDS = {"Crashing": ("crashed", "killed by SIGABRT"), "Leaving": ("crashed", "exited with 0")}


@pytest.mark.parametrize("worker", ENDS, indirect=True)
def test_the_case_that_ends_the_process_is_told_and_the_others_are_answered(worker: Worker) -> None:
    kind, reason = ENDS[worker.spec.partition(":")[2]]
    answers = worker.ask([case(), case(fatal=True), case(), case(fatal=True)])
    assert [a.kind for a in answers] == ["result", kind, "result", kind], f"{answers}"
    assert answers[1].reason == reason, f"{answers[1]}"


def test_silence_has_a_limit_and_its_process_is_gone() -> None:
    worker = Worker(f"{HERE}:Hanging", time_limit=0.5)
    assert worker.ask([case()])[0].kind == "result", "it answers other cases"
    assert worker._process is not None, "it runs"
    number = worker._process.pid
    started = time.monotonic()
    answers = worker.ask([case(), case(fatal=True), case()])
    assert [a.kind for a in answers] == ["result", "hung", "result"], f"{answers}"
    assert time.monotonic() - started < 10, "waited for the sleeper"
    assert answers[1].reason == "no answer in 0.5 s", f"{answers[1]}"
    with pytest.raises(ProcessLookupError):
        os.kill(number, 0)
    worker.close()


BROKEN = {
    "Raising": "KeyError: 'a dictionary of its own' (bad_backends.py:",
    "NoResult": "run returned ndarray, not a Result",
    "NoArray": "output 'y' is a list, not an array",
    "NoOutput": "output 'y' is missing",
    "OtherType": "output 'y' is float64, the scheme f32_u8 wants uint8",
}


@pytest.mark.parametrize("worker", BROKEN, indirect=True)
def test_an_answer_that_is_none_is_broken_and_the_adapter_s_fault(worker: Worker) -> None:
    (answer,) = worker.ask([case()])
    reason = BROKEN[worker.spec.partition(":")[2]]
    assert (answer.kind, answer.result) == ("broken", None), f"{answer}"
    assert answer.reason.startswith(reason), f"{answer}"
    assert set(verdicts(worker, "QDQ-02").values()) == {"HARNESS_ERROR"}, "not the backend's"


@pytest.mark.parametrize("worker", ["OtherShape", "Refusing"], indirect=True)
def test_numbers_that_are_wrong_fail(worker: Worker) -> None:
    found = judge(worker, properties=("QDQ-02",))
    (cell,) = found.cells
    assert cell.verdict == "FAILS", f"{cell}"
    assert ("shape" in cell.detail) or ("refused" in cell.detail), f"{cell.detail}"
    assert not found.identified[0].consistent, "no contract explains it"


@pytest.mark.parametrize("worker", ["NotANumber"], indirect=True)
def test_nan_where_a_number_should_be_fails(worker: Worker) -> None:
    (cell,) = judge(worker, properties=("QDQ-01",)).cells
    assert cell.verdict == "FAILS", f"{cell}"
    assert "nan" in cell.detail, f"{cell.detail}"


@pytest.mark.parametrize("worker", ["Lying"], indirect=True)
def test_a_claim_that_is_not_kept_is_unsupported_and_never_a_pass(worker: Worker) -> None:
    found = judge(worker, properties=("QDQ-02",))
    seen = {cell.scheme: cell.verdict for cell in found.cells}
    assert seen == {"f32_u8": "BIT_EXACT", "f32_i8": "UNSUPPORTED"}, f"{seen}"
    trouble = found.identified[1].trouble
    assert trouble == {"unsupported": "uint8 only"}, f"{trouble}"


@pytest.mark.parametrize("worker", ["Inventing"], indirect=True)
def test_a_cell_that_is_not_in_the_catalogue_is_an_error_that_lists_what_is(worker: Worker) -> None:
    with pytest.raises(ValueError, match="no scheme 'f32_u9'; it has f32_u8"):
        judge(worker)


@pytest.mark.parametrize("worker", ["Printing"], indirect=True)
def test_what_is_printed_is_no_part_of_the_conversation(
    worker: Worker, capfd: pytest.CaptureFixture[str]
) -> None:
    assert [a.kind for a in worker.ask([case()] * 3)] == ["result"] * 3, "the conversation broke"
    assert verdicts(worker, "QDQ-02") == {"QDQ-02": "BIT_EXACT"}, "red"
    out, err = capfd.readouterr()
    assert "computing" not in out + err, "it got through"


@pytest.mark.parametrize("worker", ["Mutating"], indirect=True)
def test_inputs_that_are_changed_are_told_and_fail(worker: Worker) -> None:
    (answer,) = worker.ask([case()])
    assert (answer.kind, answer.mutated) == ("result", ("x",)), f"{answer}"
    assert verdicts(worker, "X-12") == {"X-12": "FAILS"}, "it passes"


@pytest.mark.parametrize("worker", ["LeavingFlushed"], indirect=True)
def test_a_mode_that_is_left_set_is_told_restored_and_fails(worker: Worker) -> None:
    for answer in worker.ask([case(), case()]):
        assert (answer.kind, answer.mutated) == ("result", (MODE,)), f"{answer}"
    assert verdicts(worker, "X-13") == {"X-13": "FAILS"}, "it passes"


@pytest.mark.parametrize("worker", ["NotToBeSent"], indirect=True)
def test_an_answer_that_no_pipe_carries_is_broken_and_the_worker_goes_on(worker: Worker) -> None:
    answers = worker.ask([case(), case()])
    assert [a.kind for a in answers] == ["broken", "broken"], f"{answers}"
    assert "cannot be sent" in answers[0].reason, f"{answers[0]}"


@pytest.mark.parametrize("worker", ["Crashing", "Leaving"], indirect=True)
def test_a_crash_is_a_verdict_of_its_own(worker: Worker) -> None:
    (cell,) = judge(worker, properties=("QDQ-02",)).cells
    _, reason = ENDS[worker.spec.partition(":")[2]]
    assert (cell.verdict, cell.detail) == ("CRASHED", reason), f"{cell}"


def test_silence_is_a_verdict_of_its_own() -> None:
    worker = Worker(f"{HERE}:Hanging", time_limit=0.5)
    assert verdicts(worker, "QDQ-02") == {"QDQ-02": "HUNG"}, "not hung"
    worker.close()


def test_who_hung_once_is_not_waited_for_again() -> None:
    worker = Worker(f"{HERE}:Hanging", time_limit=0.5)
    (first,) = worker.ask([case(fatal=True)])
    worker.time_limit = 600.0
    again = worker.ask([case(), case(fatal=True), case()])
    worker.close()
    assert [a.kind for a in again] == ["result", "hung", "result"], f"{again}"
    assert first.reason == again[1].reason == "no answer in 0.5 s", "as it was"


def test_who_is_always_silent_is_not_waited_for_case_by_case() -> None:
    worker = Worker(f"{HERE}:Silent", time_limit=0.5)
    started = time.monotonic()
    cells = judge(worker).cells
    seconds = time.monotonic() - started
    worker.close()
    assert {cell.verdict for cell in cells} == {"HUNG"}, f"{cells}"
    assert seconds < 30, f"{seconds:.0f} s for {len(cells)} properties of one cell"


@pytest.mark.parametrize("worker", ["Raising"], indirect=True)
def test_who_never_answers_passes_nothing(worker: Worker) -> None:
    cells = judge(worker).cells
    assert {cell.verdict for cell in cells} == {"HARNESS_ERROR"}, f"{cells}"


@pytest.mark.parametrize("worker", ["CrashingElsewhere"], indirect=True)
def test_a_crash_where_nothing_is_listed_is_no_refusal(worker: Worker) -> None:
    assert verdicts(worker, "QDQ-02", "X-15") == {"QDQ-02": "BIT_EXACT", "X-15": "CRASHED"}


def test_variants_and_twins_are_other_processes_and_end_with_their_parent() -> None:
    worker = Worker("onnxruntime")
    two = worker.variant({"threads": 2})
    assert worker.variant({"threads": 2}) is two, "made twice"
    assert worker.twin() is worker.twin(), "made twice"
    x = case()
    answers = [subject.ask([x])[0] for subject in (worker, two, worker.twin())]
    assert [a.result.outputs["y"].tolist() for a in answers if a.result] == [[4, 6, 0, 255]] * 3, (
        f"{answers}"
    )
    assert isinstance(two, Worker), "not a worker"
    processes = [worker._process, two._process]
    worker.close()
    assert all(p is not None and p.poll() is not None for p in processes), "one goes on"


def test_local_answers_as_a_worker_does_and_has_knobs_if_its_name_is_known() -> None:
    local = Local(Honest())
    (answer,) = local.ask([case()])
    assert answer.result is not None, f"{answer}"
    assert answer.result.outputs["y"].tolist() == [4, 6, 0, 255], f"{answer}"
    assert (local.info.name, len(local.capabilities)) == ("honest", 1), "who?"
    with pytest.raises(ValueError, match="cannot be made again"):
        local.twin()
    named = Local(load_backend("onnxruntime"), "onnxruntime")
    assert named.variant({"threads": 2}).ask([case()])[0].kind == "result", "no variant"
