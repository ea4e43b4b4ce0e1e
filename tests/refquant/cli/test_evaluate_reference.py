"""Nearness and the table of layers from the command line."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.compare import distances
from refquant.model.ends import from_outputs, to_inputs
from refquant.model.execute import run
from refquant.model.rq import read_rq, write_rq
from tests.refquant.cli.evaluated import result
from tests.refquant.evaluation.two_models import chain

Refquant = Callable[..., Any]


@pytest.fixture
def chains(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A model, another with half as much again in the middle, and data."""
    paths = tmp_path / "a.rq", tmp_path / "b.rq"
    for path, middle in zip(paths, (1, 1.5), strict=True):
        write_rq(path, chain(2, middle, 1))
    np.savez(tmp_path / "x.npz", x=np.array([[1, 2], [3, 4]], np.float32))
    return *paths, tmp_path / "x.npz"


def test_numbers_by_hand(chains: tuple[Path, Path, Path], refquant: Refquant) -> None:
    a, b, data = chains
    common = ("evaluate", a, b, "--data", data, "--metric", "sqnr", "--layers", "--json")
    first, second = result(refquant(*common))
    db = 10 * np.log10(4)
    assert (first["value"], first["reference"]) == (None, str(a)), f"{first}"
    assert (second["value"], second["unit"], second["difference"]) == (db, "dB", None), f"{second}"
    assert second["outputs"] == [
        {"output": "y", "cosine": 1.0, "cosine_least": 1.0, "sqnr_db": db, "sqnr_db_least": db,
         "max_abs_error": 4.0}
    ], f"{second}"  # fmt: skip
    assert second["layers"] == [
        {"value": "h0", "op": "Mul", "sqnr_db": None, "cosine": 1.0, "max_abs_error": 0.0,
         "adds": 0.0},
        {"value": "h1", "op": "Mul", "sqnr_db": db, "cosine": 1.0, "max_abs_error": 4.0,
         "adds": 0.25},
        {"value": "y", "op": "Mul", "sqnr_db": db, "cosine": 1.0, "max_abs_error": 4.0,
         "adds": 0.0},
    ], f"{second}"  # fmt: skip
    assert (second["first_below"], second["worst_step"]) == ("h1", "h1"), f"{second}"
    low = result(refquant(*common, "--threshold", 6))[1]
    assert (low["threshold_db"], low["first_below"]) == (6, None), f"{low}"


def test_a_person_reads_a_table(chains: tuple[Path, Path, Path], refquant: Refquant) -> None:
    a, b, data = chains
    common = ("evaluate", b, "--reference", a, "--data", data, "--metric", "cosine")
    done = refquant(*common, "--layers")
    assert done.code == 0, done.err
    for line in (
        f"{b}: cosine 1.000000 of 2 samples",
        f"  to {a}, output y",
        "  y: cosine 1.000000 (least 1.000000), SQNR 6.02 dB (least 6.02), largest difference 4",
        "h1              Mul          6.02  1.000000              4  25.000",
        "the first below 20.0 dB: h1",
        "the worst step: h1 adds 25.000 % of noise",
    ):
        assert line in done.out.splitlines(), f"{line!r} is missing:\n{done.out}"
    assert "no layer is below 6.0 dB" in refquant(*common, "--layers", "--threshold", 6).out


def test_it_is_what_compare_says(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    options = ("--scheme", "int8_full_integer", "--calibration", data, "-o", tmp_path / "q.rq")
    assert refquant("quantize", model, *options).code == 0, "no model"
    pair = (model, tmp_path / "q.rq", "--data", data, "--json")
    found = result(refquant("evaluate", *pair, "--metric", "sqnr"))[1]
    compared = result(refquant("compare", *pair))["outputs"][0]
    assert round(found["value"], 9) == round(compared["sqnr_db"], 9), "sums in another order"
    x = np.load(data)["x"][:5]
    few = result(refquant("evaluate", *pair, "--metric", "sqnr", "--samples", 5))[1]
    small = read_rq(tmp_path / "q.rq")
    reals = from_outputs(small, run(small, to_inputs(small, {"x": x})))["y"]
    near = distances(run(read_rq(model), {"x": x})["y"], reals)
    assert round(few["value"], 9) == round(near["sqnr_db"], 9), "of the first five"


@pytest.mark.parametrize("metric", ["cosine", "sqnr"])
def test_models_that_do_not_go_together(
    metric: str, chains: tuple[Path, Path, Path], refquant: Refquant, tmp_path: Path
) -> None:
    a, b, data = chains
    for other, said in (
        (chain(1, last="z"), "no output in common: y ['N', 2] and z ['N', 2]"),
        (chain(1, inputs="u"), "other.rq has the inputs ['u'] and"),
        (chain(np.nan), "other.rq: the model computes NaN or infinity in 'y'"),
    ):
        write_rq(tmp_path / "other.rq", other)
        done = refquant("evaluate", a, tmp_path / "other.rq", "--data", data, "--metric", metric)
        assert done.code == 1, f"exit code {done.code}"
        assert said in done.err, done.err
    done = refquant("evaluate", a, b, "--data", data, "--metric", metric, "--samples", 3)
    assert (done.code, "holds 2 samples" in done.err) == (1, True), done.err
    done = refquant("evaluate", a, b, "--data", data, "--metric", metric, "--scores", "z")
    assert (done.code, "none of the outputs in common ['y']" in done.err) == (1, True), done.err


def test_arrays_of_codes_are_refused(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path
) -> None:
    """An input of codes takes reals here, so that both models get what they understand."""
    options = ("--scheme", "int8_full_integer", "--calibration", data, "-o", tmp_path / "q.rq")
    assert refquant("quantize", model, *options).code == 0, "no model"
    np.savez(tmp_path / "codes.npz", x=np.zeros((2, 4), np.int8))
    pair = (tmp_path / "q.rq", tmp_path / "q.rq", "--data", tmp_path / "codes.npz")
    done = refquant("evaluate", *pair, "--metric", "sqnr")
    assert done.code == 1, f"exit code {done.code}"
    assert "codes.npz: array 'x' holds codes; give the reals, float32" in done.err, done.err


def test_layers_without_a_common_name(
    chains: tuple[Path, Path, Path], refquant: Refquant, tmp_path: Path
) -> None:
    write_rq(tmp_path / "z.rq", chain(1, last="z"))
    np.savez(tmp_path / "l.npz", x=np.ones((2, 2), np.float32), labels=np.zeros(2, int))
    options = ("--data", tmp_path / "l.npz", "--layers", "--json")
    done = refquant("evaluate", chains[0], tmp_path / "z.rq", *options)
    assert done.code == 1, f"exit code {done.code}"
    assert "no node of the model makes a value that the reference has" in done.err, done.err


def test_json_is_strict(
    chains: tuple[Path, Path, Path], refquant: Refquant, tmp_path: Path
) -> None:
    write_rq(tmp_path / "zero.rq", chain(0, 1, 1))
    options = (tmp_path / "zero.rq", chains[0], "--data", chains[2], "--metric", "cosine")
    rows = result(refquant("evaluate", *options, "--layers", "--json"))
    assert rows[1]["value"] is None, "zeros have no direction"
    assert rows[1]["layers"][0]["adds"] is None, "infinitely much"
    json.dumps(rows, allow_nan=False)
