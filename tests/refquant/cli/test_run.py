"""The reference, from file to file."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.execute import run
from refquant.model.rq import read_rq

Refquant = Callable[..., Any]


def test_the_output_is_the_executors(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    done = refquant("run", model, "--input", data, "--output", tmp_path / "y.npz", "--json")
    assert done.code == 0, done.err
    expected = run(read_rq(model), {"x": np.load(data)["x"]})["y"]
    with np.load(tmp_path / "y.npz", allow_pickle=False) as got:
        assert got.files == ["y"], f"{got.files}"
        assert got["y"].tobytes() == expected.tobytes(), "other bytes"
    result = json.loads(done.out)
    assert result["samples"] == 30, f"{result}"
    assert result["outputs"]["y"] == {
        "dtype": "float32",
        "shape": [30, 3],
        "sha256": hashlib.sha256(expected.tobytes()).hexdigest(),
    }, f"{result}"


def test_without_an_output_file_it_says_what_came_out(
    refquant: Refquant, model: Path, data: Path
) -> None:
    done = refquant("run", model, "--input", data)
    assert done.code == 0, done.err
    assert "30 samples" in done.out, done.out
    assert "y: float32 [30, 3], sha256 " in done.out, done.out


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"y": np.zeros((1, 4), np.float32)}, "has no array 'x', but 'y'"),
        ({"x": np.zeros((1, 4))}, "must be float32, got float64"),
        ({"x": np.zeros((1, 5), np.float32)}, "must have shape [N, 4], got [1, 5]"),
        ({"x": np.array(["a"])}, "give it plain numbers"),
    ],
)
def test_data_that_do_not_fit(
    arrays: dict[str, Any], said: str, refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    np.savez(tmp_path / "bad.npz", **arrays)
    done = refquant("run", model, "--input", tmp_path / "bad.npz", "--output", tmp_path / "y.npz")
    assert done.code == 1, f"exit code {done.code}"
    assert f"{tmp_path / 'bad.npz'}: " in done.err, f"does not name the file: {done.err}"
    assert said in done.err, done.err
    assert not (tmp_path / "y.npz").exists(), "a partial output"


def test_outputs_that_cannot_be_written(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    for output in (tmp_path, tmp_path / "no" / "y.npz", model / "y.npz"):
        done = refquant("run", model, "--input", data, "--output", output)
        assert done.code == 1, f"exit code {done.code}"
        assert str(output) in done.err, f"does not name the path: {done.err}"
