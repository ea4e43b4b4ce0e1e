"""Commands on models with states: archives are recordings, their samples steps."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import read_rq, rq_bytes, write_rq
from refquant.model.stream import in_order
from tests.refquant.model.streams import codes, feeds, free_running, lstm, sums

Refquant = Callable[..., Any]


@pytest.fixture
def stream(tmp_path: Path) -> Path:
    write_rq(tmp_path / "s.rq", lstm(length=2))
    np.savez(tmp_path / "x.npz", x=feeds(lstm(length=2), 9)["x"])
    return tmp_path / "s.rq"


def outputs(path: Path) -> dict[str, Any]:
    with np.load(path) as archive:
        return {name: archive[name] for name in archive.files}


def test_run_takes_samples_as_steps(refquant: Refquant, stream: Path, tmp_path: Path) -> None:
    arguments = (tmp_path / "x.npz", "--output", tmp_path / "y.npz", "--json")
    done = refquant("run", stream, "--input", *arguments)
    assert done.code == 0, done.err
    assert json.loads(done.out)["samples"] == 9, "steps"
    want = run(read_rq(stream), feeds(lstm(length=2), 9))["y"]
    assert outputs(tmp_path / "y.npz")["y"].tobytes() == want.tobytes(), "one stream"


def test_without_a_batch_steps_have_an_axis(refquant: Refquant, tmp_path: Path) -> None:
    write_rq(tmp_path / "one.rq", lstm(length=2, batch=1))
    x = feeds(lstm(length=2), 9)["x"]
    want = run(lstm(length=2), {"x": x})["y"]
    for name, array, steps in (("many", x[:, None], 9), ("one", x[:1], 1)):
        np.savez(tmp_path / f"{name}.npz", x=array)
        arguments = ("--input", tmp_path / f"{name}.npz", "--output", tmp_path / "y.npz", "--json")
        done = refquant("run", tmp_path / "one.rq", *arguments)
        assert json.loads(done.out)["samples"] == steps, done.err
        got = outputs(tmp_path / "y.npz")["y"]
        assert got.shape == ((9, 1, 2, 1, 2) if steps > 1 else (1, 2, 1, 2)), "as the input has"
        assert got.tobytes() == want[:steps].tobytes(), "the same stream"
    np.savez(tmp_path / "bad.npz", x=x[:, :, None, None, None])
    failed = refquant("run", tmp_path / "one.rq", "--input", tmp_path / "bad.npz")
    assert failed.code == 1, "six axes"
    assert "array 'x' must have shape [1, 2, 3]" in failed.err, failed.err


def test_codes_may_be_given_as_reals(refquant: Refquant, tmp_path: Path) -> None:
    write_rq(tmp_path / "c.rq", codes())
    x = np.arange(24, dtype=np.float32).reshape(6, 1, 4) / 2
    np.savez(tmp_path / "x.npz", x=x)
    arguments = ("--input", tmp_path / "x.npz", "--output", tmp_path / "y.npz")
    assert refquant("run", tmp_path / "c.rq", *arguments).code == 0, "encoded"
    want = run(codes(), {"x": (2 * x + 3).astype(np.int8)})["y"]
    assert outputs(tmp_path / "y.npz")["y"].tobytes() == want.tobytes(), "by the input's ruler"


def test_a_model_without_inputs_runs_a_step(refquant: Refquant, tmp_path: Path) -> None:
    write_rq(tmp_path / "f.rq", free_running())
    np.savez(tmp_path / "x.npz", other=np.zeros(1))
    done = refquant("run", tmp_path / "f.rq", "--input", tmp_path / "x.npz", "--json")
    assert json.loads(done.out)["samples"] == 1, done.err


def test_a_folder_holds_recordings(refquant: Refquant, stream: Path, tmp_path: Path) -> None:
    folder = tmp_path / "recordings"
    folder.mkdir()
    recordings = [feeds(lstm(length=2), count, seed=count) for count in (5, 8)]
    for i, recording in enumerate(recordings):
        np.savez(folder / f"{i}.npz", x=recording["x"])
    options = ("--recipe", "int8_static", "-o", tmp_path / "q.rq")
    done = refquant("quantize", stream, "--calibration", folder, *options, "--json")
    assert json.loads(done.out)["calibration_samples"] == 13, done.err
    want = quantize(read_rq(stream), recipe("int8_static"), recordings)
    assert (tmp_path / "q.rq").read_bytes() == rq_bytes(want), "each begins anew"
    done = refquant("quantize", stream, "--calibration", folder / "1.npz", *options)
    alone = quantize(read_rq(stream), recipe("int8_static"), recordings[1])
    assert (tmp_path / "q.rq").read_bytes() == rq_bytes(alone), "one recording, whole"
    (tmp_path / "none").mkdir()
    failed = refquant("quantize", stream, "--calibration", tmp_path / "none", *options)
    assert "has no .npz file; give a folder of recordings" in failed.err, failed.err


def test_compare_hears_each_model_by_itself(
    refquant: Refquant, stream: Path, tmp_path: Path
) -> None:
    options = ("--calibration", tmp_path / "x.npz", "-o", tmp_path / "q.rq")
    assert refquant("quantize", stream, "--recipe", "int8_static", *options).code == 0, "no file"
    done = refquant("compare", stream, tmp_path / "q.rq", "--data", tmp_path / "x.npz", "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    assert result["samples"] == 9, "steps"
    assert [row["output"] for row in result["outputs"]] == ["y", "hn", "cn"], "states, too"
    small = read_rq(tmp_path / "q.rq")
    (heard,) = in_order(small, feeds(lstm(length=2), 9))
    y = [run(read_rq(stream), feeds(lstm(length=2), 9))["y"], run(small, {"x": heard["x"]})["y"]]
    error = np.square(y[0].astype(np.float64) - y[1]).sum()
    want = 10 * np.log10(np.square(y[0].astype(np.float64)).sum() / error)
    assert abs(result["outputs"][0]["sqnr_db"] - want) < 1e-9, "of the stream as it is heard"
    same = refquant("compare", stream, stream, "--data", tmp_path / "x.npz", "--json")
    assert all(row["identical"] for row in json.loads(same.out)["outputs"]), "to itself"


def test_evaluate_says_what_it_does_not_measure(
    refquant: Refquant, stream: Path, tmp_path: Path
) -> None:
    arguments = ("--metric", "cosine", "--data", tmp_path / "x.npz")
    failed = refquant("evaluate", stream, stream, *arguments)
    assert failed.code != 0, failed.out
    assert "has states, so its samples are steps of a stream" in failed.err, failed.err


def test_inspect_shows_states(refquant: Refquant, tmp_path: Path) -> None:
    write_rq(tmp_path / "s.rq", sums())
    done = refquant("inspect", tmp_path / "s.rq")
    said = "state  sum: before is what total was; the constant first at first\n"
    assert said in done.out, done.out
    told = json.loads(refquant("inspect", tmp_path / "s.rq", "--json").out)
    state = {"name": "sum", "input": "before", "output": "total", "initial": "first"}
    assert told["states"] == [state], "as the file says"
    write_rq(tmp_path / "l.rq", lstm())
    assert "h is what hn was; zeros at first\n" in refquant("inspect", tmp_path / "l.rq").out, "h"
