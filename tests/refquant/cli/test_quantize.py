"""A model and a recipe make a file; what does not fit makes a sentence and no file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.model.quantize import quantize
from refquant.model.recipe import recipe, recipe_names
from refquant.model.rq import read_rq, rq_bytes

Refquant = Callable[..., Any]


@pytest.mark.parametrize("name", recipe_names())
def test_every_recipe_makes_what_the_library_makes(
    name: str, refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    out = tmp_path / "q.rq"
    done = refquant("quantize", model, "--recipe", name, "--calibration", data, "-o", out, "--json")
    assert done.code == 0, done.err
    expected = quantize(read_rq(model), recipe(name), {"x": np.load(data)["x"]})
    assert out.read_bytes() == rq_bytes(expected), "other bytes than the library's"
    result = json.loads(done.out)
    assert (result["recipe"], result["output"]) == (name, str(out)), f"{result}"
    assert result["bytes"] == out.stat().st_size, f"{result}"
    assert result["bytes_before"] == model.stat().st_size, f"{result}"


def test_steps_of_calibration_do_not_change_the_bytes(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    x = np.random.default_rng(3).standard_normal((70, 4)).astype(np.float32)
    np.savez(tmp_path / "c.npz", x=x)
    (tmp_path / "mine.toml").write_text(
        'scheme = "static"\ncontract = "ort"\n[activations]\nobserver = "moving_average"\n'
        "[activations.options]\nmomentum = 0.9\n[weights]\nbits = 8\n"
    )
    options = ("--recipe", tmp_path / "mine.toml", "--calibration", tmp_path / "c.npz")
    done = refquant("quantize", model, *options, "-o", tmp_path / "q.rq")
    assert done.code == 0, done.err
    expected = quantize(read_rq(model), recipe(tmp_path / "mine.toml"), {"x": x})
    assert (tmp_path / "q.rq").read_bytes() == rq_bytes(expected), "batches changed the result"


def test_weights_alone_need_no_calibration(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    done = refquant("quantize", model, "--recipe", "w8_weight_only", "-o", tmp_path / "q.rq")
    assert done.code == 0, done.err
    assert done.out.startswith(f"{tmp_path / 'q.rq'}: "), done.out


@pytest.mark.parametrize(
    ("options", "code", "said"),
    [
        (("--recipe", "w9"), 2, "unknown recipe 'w9'; there are float32,"),
        (("--recipe", "w8a8_tflite"), 2, "needs --calibration D.npz"),
        (("--recipe", "no.toml"), 1, "no.toml: no such file or directory"),
        (("--recipe", "w8a8_tflite", "--calibration", "no.npz"), 1, "no.npz: no such file"),
    ],
)
def test_recipes_and_data_that_are_not_there(
    options: tuple[str, ...],
    code: int,
    said: str,
    refquant: Refquant,
    model: Path,
    tmp_path: Path,
) -> None:
    done = refquant("quantize", model, *options, "-o", tmp_path / "q.rq")
    assert done.code == code, f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err
    assert not (tmp_path / "q.rq").exists(), "a partial output"


@pytest.mark.parametrize(
    ("toml", "said"),
    [
        ('scheme = "float33"', "'float33'"),
        ("scheme = ", "mine"),
        ('scheme = "weight_only"\ncontract = "ort"\n[weights]\nbits = 8\n'
         '[[override]]\nnodes = "conv*"\nexclude = true\n', "conv*"),
    ],
)  # fmt: skip
def test_recipes_that_mean_nothing(
    toml: str, said: str, refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    (tmp_path / "mine.toml").write_text(toml)
    options = ("--recipe", tmp_path / "mine.toml", "-o", tmp_path / "q.rq")
    done = refquant("quantize", model, *options)
    assert done.code == 1, f"exit code {done.code}"
    assert said in done.err, done.err


def test_nan_in_calibration_is_refused(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    x = np.zeros((3, 4), np.float32)
    x[1, 2] = np.nan
    np.savez(tmp_path / "c.npz", x=x)
    options = ("--recipe", "w8a8_tflite", "--calibration", tmp_path / "c.npz")
    done = refquant("quantize", model, *options, "-o", tmp_path / "q.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "'x'" in done.err, f"does not name the input: {done.err}"


def test_a_quantized_model_is_not_quantized_again(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    options = ("--recipe", "w8_weight_only", "-o", tmp_path / "q.rq")
    assert refquant("quantize", model, *options).code == 0, "the first time"
    done = refquant("quantize", tmp_path / "q.rq", *options)
    assert done.code == 1, f"exit code {done.code}"
    assert "quantize takes a float32 graph" in done.err, done.err


def test_other_formats_and_outputs_that_cannot_be_written(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    done = refquant("quantize", "m.onnx", "--recipe", "float32", "-o", tmp_path / "q.rq")
    assert "comes with a later version" in done.err, done.err
    done = refquant("quantize", model, "--recipe", "float32", "-o", tmp_path / "no" / "q.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "there is no folder" in done.err, done.err
