"""Jobs in one process: each runs on every thread count it names, and says whether bits differ."""

import io
import json
import os
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.rq import rq_bytes
from refquant_runtime import InputError, Session, isa
from refquant_runtime.data import read_npz, write_npz
from refquant_runtime.jobs import digest_of, feeds_of, latencies, run_batch, run_steps
from tests.refquant.model.streams import feeds, lstm
from tests.runtime import zoo
from tests.runtime.test_equivalence import same_bits


@pytest.fixture
def job(tmp_path: Path) -> dict[str, Any]:
    (tmp_path / "m.rq").write_bytes(zoo.file_of("movement"))
    write_npz(tmp_path / "x.npz", zoo.feeds_of("movement"))
    return {
        "model": str(tmp_path / "m.rq"), "input": str(tmp_path / "x.npz"),
        "output": str(tmp_path / "y.npz"),
    }  # fmt: skip


def answers(capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_jobs_of_a_file_and_of_stdin_are_run_alike(
    job: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    jobs = [job | {"threads": [1, 2]}, job | {"isa": "portable", "bench": True}, job]
    (tmp_path / "jobs.json").write_text(json.dumps(jobs))
    monkeypatch.setenv("REFQUANT_ISA", isa.available()[-1])
    run_batch(Namespace(jobs=str(tmp_path / "jobs.json")))
    first, portable, last = answers(capsys)
    assert set(first["outputs_sha256"]) == {"1", "2"}, "each number of threads"
    assert first["identical"] is True, "gives the same bits"
    assert first["outputs_sha256"]["1"] == portable["outputs_sha256"]["1"], "on each CPU path"
    assert portable["isa"] == "portable", "the job's own"
    assert last["isa"] == isa.available()[-1] == os.environ["REFQUANT_ISA"], "and only the job's"
    assert portable["median_ms"] > 0, "measured where asked"
    assert last["median_ms"] is None, "and only there"
    expected = run(zoo.ZOO["movement"](), zoo.feeds_of("movement"))
    for name, array in read_npz(job["output"]).items():
        assert same_bits(expected[name], array), f"{name} is written"
    monkeypatch.setattr(sys, "stdin", io.StringIO("".join(json.dumps(j) + "\n\n" for j in jobs)))
    run_batch(Namespace(jobs="-"))
    assert [a["outputs_sha256"] for a in answers(capsys)] == [
        a["outputs_sha256"] for a in (first, portable, last)
    ], "one job a line"


def test_a_failing_job_leaves_the_environment_alone(
    job: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REFQUANT_ISA", raising=False)
    bad = job | {"isa": "portable", "threads": ["2"]}
    (tmp_path / "jobs.json").write_text(json.dumps([bad]))
    with pytest.raises(InputError, match="threads must be an integer"):
        run_batch(Namespace(jobs=str(tmp_path / "jobs.json")))
    assert "REFQUANT_ISA" not in os.environ, "as it was"


def test_feeds_are_the_arrays_that_the_model_takes(job: dict[str, Any], tmp_path: Path) -> None:
    session = Session(job["model"], threads=1)
    write_npz(tmp_path / "more.npz", zoo.feeds_of("movement") | {"labels": np.arange(2)})
    assert set(feeds_of(session, str(tmp_path / "more.npz"))) == {"a", "c"}, "no more"
    write_npz(tmp_path / "less.npz", {"a": np.zeros(1)})
    with pytest.raises(InputError, match=r"less\.npz: has no array 'c' but \['a'\]; rename one"):
        feeds_of(session, str(tmp_path / "less.npz"))
    write_npz(tmp_path / "none.npz", zoo.feeds_of("movement", 0))
    with pytest.raises(InputError, match=r"none\.npz: array 'a' holds no samples; give at least"):
        feeds_of(session, str(tmp_path / "none.npz"))


def test_a_bad_output_is_found_before_the_model_is_loaded(
    job: dict[str, Any], tmp_path: Path
) -> None:
    bad = job | {"model": "none.rq", "output": str(tmp_path)}
    (tmp_path / "jobs.json").write_text(json.dumps([bad]))
    with pytest.raises(InputError, match=r"it is a folder\); give the path of a file"):
        run_batch(Namespace(jobs=str(tmp_path / "jobs.json")))


def test_latencies_and_digests(job: dict[str, Any]) -> None:
    times = latencies(Session(job["model"], threads=1), 5)
    assert len(times) == 5, "one a run"
    assert all(time > 0 for time in times), "in milliseconds"
    square = np.arange(4, dtype=np.int8).reshape(2, 2)
    assert digest_of(square) != digest_of(square.T), "the elements in their order"
    assert digest_of(square) == digest_of(np.asfortranarray(square)), "not as they lie in memory"


def test_steps_of_a_stream_are_run_in_order(tmp_path: Path) -> None:
    (tmp_path / "n.rq").write_bytes(rq_bytes(lstm(length=2)))
    (tmp_path / "one.rq").write_bytes(rq_bytes(lstm(length=2, batch=1)))
    x = feeds(lstm(length=2), 5)["x"]
    many = run_steps(Session(tmp_path / "n.rq", threads=1), {"x": x})["y"]
    session = Session(tmp_path / "one.rq", threads=1)
    steps = run_steps(session, {"x": x[:, None]})["y"]
    assert steps.shape == (5, 1, 2, 1, 2), "an axis of steps in front, as the inputs have"
    assert steps[:, 0].tobytes() == many.tobytes(), "the same stream"
    session.reset()
    assert run_steps(session, {"x": x[:1]})["y"].tobytes() == many[:1].tobytes(), "one step"
    with pytest.raises(InputError, match=r"inputs have \[0\] steps; give every input the same"):
        run_steps(session, {"x": x[:0, None]})
