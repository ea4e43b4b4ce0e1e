"""How often a model is right."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import read_rq, write_rq

Refquant = Callable[..., Any]


def test_top1_is_the_percentage_of_labels_that_score_highest(
    refquant: Refquant, model: Path, data: Path
) -> None:
    done = refquant("evaluate", model, "--data", data, "--json")
    assert done.code == 0, done.err
    arrays = np.load(data)
    guesses = run(read_rq(model), {"x": arrays["x"]})["y"].argmax(axis=1)
    right = int((guesses == arrays["labels"]).sum())
    result = json.loads(done.out)
    assert result == {
        "model": str(model),
        "metric": "top1",
        "value": 100 * (right / 30),
        "context": None,
        "samples": 30,
        "unit": "percent",
    }, f"{result}"
    done = refquant("evaluate", model, "--data", data)
    assert f"top-1 {100 * right / 30:.2f} % of 30 samples" in done.out, done.out


def test_a_full_integer_model_takes_the_same_data(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    options = ("--recipe", "w8a8_full_integer", "--calibration", data, "-o", tmp_path / "q.rq")
    assert refquant("quantize", model, *options).code == 0, "no model"
    done = refquant("evaluate", tmp_path / "q.rq", "--data", data, "--json")
    assert done.code == 0, done.err
    assert 0 <= json.loads(done.out)["value"] <= 100, done.out


@pytest.mark.parametrize(
    ("labels", "said"),
    [
        (None, "has no array 'labels'"),
        (np.zeros(29, int), "'labels' must be 30 integers, one a sample"),
        (np.zeros(30), "'labels' must be 30 integers, one a sample"),
        (np.full(30, 3), "'labels' must be from 0 to 2"),
        (np.full(30, -1), "'labels' must be from 0 to 2"),
    ],
)
def test_labels_that_do_not_fit(
    labels: Any, said: str, refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    arrays = {"x": np.zeros((30, 4), np.float32)}
    np.savez(tmp_path / "d.npz", **(arrays if labels is None else arrays | {"labels": labels}))
    done = refquant("evaluate", model, "--data", tmp_path / "d.npz")
    assert done.code == 1, f"exit code {done.code}"
    assert said in done.err, done.err


def test_of_several_outputs_one_is_chosen(refquant: Refquant, data: Path, tmp_path: Path) -> None:
    b = Builder("two")
    x = b.input("x", ("N", 4))
    a = b.node("Relu", [x], name="a")
    c = b.node("Reshape", [x], name="c", attributes={"shape": (0, 2, 2)})
    write_rq(tmp_path / "two.rq", b.graph([a, c]))
    options = ("evaluate", tmp_path / "two.rq", "--data", data)
    assert "choose one by --scores" in refquant(*options).err, "a guess"
    assert refquant(*options, "--scores", "a").code == 0, "the choice was not taken"
    assert "none of the outputs ['a', 'c']" in refquant(*options, "--scores", "z").err, "z?"
    done = refquant(*options, "--scores", "c")
    assert done.code == 1, f"exit code {done.code}"
    assert "scores are [N, classes]" in done.err, done.err
