"""How far two models are apart."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.compare import distances
from refquant.model.build import Builder
from refquant.model.rq import write_rq

Refquant = Callable[..., Any]


@pytest.fixture
def recipes(refquant: Refquant, model: Path, data: Path, tmp_path: Path) -> dict[str, Path]:
    paths = {"float32": model}
    for name in ("w8a8_full_integer", "w8a8_static_per_channel"):
        paths[name] = tmp_path / f"{name}.rq"
        options = ("--recipe", name, "--calibration", data, "-o", paths[name])
        assert refquant("quantize", model, *options).code == 0, "no model"
    return paths


def compare(refquant: Refquant, a: Path, b: Path, data: Path) -> dict[str, Any]:
    done = refquant("compare", a, b, "--data", data, "--json")
    assert done.code == 0, done.err
    result: dict[str, Any] = json.loads(done.out)
    assert (result["a"], result["b"], result["samples"]) == (str(a), str(b), 30), f"{result}"
    (row,) = result["outputs"]
    assert row["output"] == "y", f"{row}"
    return dict(row)


def test_a_model_is_identical_to_itself(
    refquant: Refquant, recipes: dict[str, Path], data: Path
) -> None:
    for name, path in recipes.items():
        row = compare(refquant, path, path, data)
        assert row["identical"], f"{name}: {row}"
        assert row["sqnr_db"] is None, f"{name}: infinite is no JSON number: {row}"
        assert row["agreement"] == 100, f"{name}: {row}"
        codes = None if name == "float32" else 0
        assert row["max_code_difference"] == codes, f"{name}: {row}"


def test_a_quantized_model_is_near_the_float_one(
    refquant: Refquant, recipes: dict[str, Path], data: Path
) -> None:
    for name in ("w8a8_full_integer", "w8a8_static_per_channel"):
        row = compare(refquant, recipes["float32"], recipes[name], data)
        assert not row["identical"], f"{name}: {row}"
        assert row["sqnr_db"] > 20, f"{name}: {row}"
        assert 0.99 < row["cosine"] <= 1, f"{name}: {row}"
        assert row["max_code_difference"] is None, f"{name}: a float model has no codes: {row}"
    done = refquant("compare", recipes["float32"], recipes[name], "--data", data)
    assert done.code == 0, done.err
    assert done.out.startswith("output  identical  SQNR dB"), done.out


def test_models_of_other_names_or_shapes_are_not_compared(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    for names, width, said in (
        (("z", "y"), 4, "has the inputs ['x'] and"),
        (("x", "z"), 4, "has the outputs ['y'] and"),
        (("x", "y"), 4, "outputs have shapes [30, 3] and [30, 4]"),
        (("x", "y"), 5, "must have shape [N, 5]"),
    ):
        b = Builder("other")
        x = b.input(names[0], ("N", width))
        write_rq(tmp_path / "b.rq", b.graph([b.node("Relu", [x], name=names[1])]))
        done = refquant("compare", model, tmp_path / "b.rq", "--data", data)
        assert done.code == 1, f"exit code {done.code}"
        assert said in done.err, done.err


def test_codes_of_another_ruler_are_not_compared_as_codes(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    """The same recipe, calibrated on fewer samples: other scales."""
    with np.load(data) as arrays:
        np.savez(tmp_path / "few.npz", x=arrays["x"][-5:])
    paths = [tmp_path / "all.rq", tmp_path / "few.rq"]
    for path, used in zip(paths, (data, tmp_path / "few.npz"), strict=True):
        options = ("--recipe", "w8a8_full_integer", "--calibration", used, "-o", path)
        assert refquant("quantize", model, *options).code == 0, "no model"
    row = compare(refquant, paths[0], paths[1], data)
    assert not row["identical"], f"{row}"
    assert row["max_code_difference"] is None, f"of different scales: {row}"


def test_the_first_so_many_samples_are_enough(
    refquant: Refquant, recipes: dict[str, Path], data: Path, tmp_path: Path
) -> None:
    with np.load(data) as arrays:
        np.savez(tmp_path / "few.npz", x=arrays["x"][:7])
    models = recipes["float32"], recipes["w8a8_full_integer"]
    found = []
    for options in (("--data", data, "--samples", 7), ("--data", tmp_path / "few.npz")):
        done = refquant("compare", *models, *options, "--json")
        assert done.code == 0, done.err
        found.append(json.loads(done.out))
    assert [each["samples"] for each in found] == [7, 7], "of 30"
    for key in ("outputs", "layers", "first_divergence"):
        assert found[0][key] == found[1][key], key
    for count in ("0", "-3", "x"):
        done = refquant("compare", *models, "--data", data, "--samples", count)
        assert done.code == 2, f"--samples {count}: exit code {done.code}"


def test_numbers_that_do_not_exist_are_none() -> None:
    zeros, ones = np.zeros((2, 3), np.float32), np.ones((2, 3), np.float32)
    assert distances(zeros, ones)["sqnr_db"] is None, "-inf is no JSON number"
    assert distances(zeros, ones)["cosine"] is None, "a vector of zeros has no direction"
    assert distances(ones[0], ones[0])["agreement"] is None, "no scores of samples"
    nan = np.full((2, 3), np.nan, np.float32)
    assert distances(nan, nan)["identical"], "the same bytes"
    integers = np.ones((2, 3), np.int32)
    assert not distances(integers, ones)["identical"], "another dtype"
    assert distances(integers, ones)["cosine"] == 1, "the same numbers"
