"""The main job, small: quantize, run twice, compare, judge."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli import demo, demo_runtime
from refquant.cli.demo import SCHEMES
from refquant.model.recipe import recipe_names
from refquant.model.rq import read_rq

Refquant = Callable[..., Any]

KEYS = ["scheme", "bytes", "top1", "top1_drop", "sqnr_db", "bit_exact", "latency_ms"]
FEW = ("--samples", "20", "--schemes", "float32,w8a8_static_per_channel", "--threads", "1,2")

pytestmark = pytest.mark.usefixtures("child_path")

LIAR = """
import json, sys, numpy as np
from refquant.cli.demo_runtime import digest
from refquant.model.execute import run
from refquant.model.rq import read_rq
for line in sys.stdin:
    job = json.loads(line)
    x = np.load(job["input"])["x"]
    outputs = run(read_rq(job["model"]), {"x": x})
    digests = {str(t): digest(outputs) for t in job["threads"]}
    LIE
    np.savez(job["output"], **outputs)
    print(json.dumps({"outputs_sha256": digests, "median_ms": 1.0, "isa": "none"}), flush=True)
"""


def test_the_schemes_are_the_promised_ones_and_have_recipes() -> None:
    assert len(SCHEMES) == 7, f"{SCHEMES}"
    assert set(SCHEMES) <= set(recipe_names()), "a scheme without a recipe"


@pytest.mark.parametrize("name", ["w8a9", "fp8_static"])
def test_schemes_that_the_runtime_cannot_run_are_wrong_usage(name: str, refquant: Refquant) -> None:
    done = refquant("demo", "--schemes", name)
    assert done.code == 2, f"wrong usage, before any work: {done}"
    assert f"scheme {name!r} is unknown, or the runtime does not execute it" in done.err, done.err


def test_json_is_what_scripts_read(refquant: Refquant) -> None:
    done = refquant("demo", *FEW, "--json")
    assert (done.code, done.err) == (0, ""), done.err
    first, second = json.loads(done.out)
    for row in (first, second):
        assert set(KEYS) <= row.keys(), f"missing: {set(KEYS) - row.keys()}"
        assert row["bit_exact"] is True, f"{row}"
        assert row["latency_ms"] > 0, f"{row}"
        assert row["threads"] == [1, 2], f"{row}"
        assert row["top1"] * 20 % 100 == 0, f"no count of 20 images, in percent: {row}"
        assert row["top1_drop"] == first["top1"] - row["top1"], f"{row}"
    assert (first["scheme"], first["sqnr_db"], first["top1_drop"]) == ("float32", None, 0), first
    assert second["sqnr_db"] > 10, f"{second}"
    assert second["bytes"] < first["bytes"], f"{second}"


def test_the_files_are_kept_where_asked_and_serve_the_other_commands(
    refquant: Refquant, tmp_path: Path
) -> None:
    folder = tmp_path / "new" / "demo"
    done = refquant("demo", *FEW, "--output", folder)
    assert done.code == 0, done.err
    assert done.err == f"the files are in {folder}\n", done.err
    kept = {path.name for path in folder.iterdir()}
    files = {"float32.rq", "w8a8_static_per_channel.rq", "calibration.npz", "test.npz"}
    assert kept == files, f"{kept}"
    lines = done.out.splitlines()
    assert lines[-1].startswith("All 2 schemes are bit-exact on 20 images with 1 and 2"), lines[-1]
    assert sum("yes" in line for line in lines) == 2, done.out
    options = ("--data", folder / "test.npz", "--json")
    done = refquant("evaluate", folder / "float32.rq", *options)
    assert json.loads(done.out)["samples"] == 20, done.out


def test_a_scheme_with_codes_in_and_out_and_no_baseline(refquant: Refquant) -> None:
    done = refquant("demo", "--samples", "3", "--schemes", "w8a8_full_integer", "--json")
    assert done.code == 0, done.err
    (row,) = json.loads(done.out)
    assert row["bit_exact"] is True, f"{row}"
    assert row["speedup"] is None, "there was no float32 to be faster than"


@pytest.mark.parametrize(
    ("lie", "differing", "threads"),
    [
        ("outputs['y'][7, 3] = np.nextafter(outputs['y'][7, 3], np.float32(9))", 1, []),
        ("outputs['y'] = outputs['y'].astype(np.float64)", 20, []),
        ("digests['2'] = 'other'", 0, [2]),
        ("del digests['1']", 0, [1]),
    ],
)
def test_a_runtime_that_differs_is_found(
    lie: str, differing: int, threads: list[int], refquant: Refquant, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    lie = f"if len(x) == 20: {lie}"
    (tmp_path / "liar.py").write_text(LIAR.replace("LIE", lie))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(demo_runtime, "MODULE", "liar")
    options = ("--samples", "20", "--schemes", "float32")
    done = refquant("demo", *options, "--json")
    assert done.code == 1, f"exit code {done.code}: {done.err}"
    (row,) = json.loads(done.out)
    assert row["bit_exact"] is False, f"{row}"
    assert (row["differing"], row["threads_differing"]) == (differing, threads), f"{row}"
    done = refquant("demo", *options)
    assert done.code == 1, f"exit code {done.code}"
    assert "NOT bit-exact: float32" in done.out, done.out


def test_a_runtime_that_fails_is_one_sentence(
    refquant: Refquant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken.py").write_text("import sys; sys.exit('no kernels for this CPU')")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(demo_runtime, "MODULE", "broken")
    done = refquant("demo", *FEW)
    assert done.code == 1, f"exit code {done.code}"
    assert done.err == "refquant demo: the runtime failed: no kernels for this CPU\n", done.err


def test_a_runtime_that_is_missing_is_one_sentence(
    refquant: Refquant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo_runtime, "MODULE", "refquant_runtime_of_nobody")
    done = refquant("demo", *FEW, "--json")
    assert done.code == 1, f"exit code {done.code}"
    assert "pip install ./runtime" in done.err, done.err


def test_an_output_that_is_a_file_is_one_sentence(refquant: Refquant, model: Path) -> None:
    done = refquant("demo", *FEW, "--output", model)
    assert done.code == 1, f"exit code {done.code}"
    assert f"{model}: is not a folder; give the path of one" in done.err, done.err
    assert read_rq(model).name == "classifier", "the file was touched"


def test_an_output_below_a_file_is_one_sentence(refquant: Refquant, model: Path) -> None:
    done = refquant("demo", *FEW, "--output", model / "files")
    assert done.code == 1, f"exit code {done.code}"
    assert "cannot be made a folder: not a directory; give another path" in done.err, done.err


def test_samples_differ_by_any_byte() -> None:
    y = np.zeros((3, 2), np.float32)
    other = y.copy()
    other[1, 1] = -0.0
    assert demo._differing({"y": y}, {"y": y.copy()}, 3) == 0, "equal arrays"
    assert demo._differing({"y": y}, {"y": other}, 3) == 1, "-0.0 is not the bytes of 0.0"
    assert demo._differing({"y": y}, {"y": y[:, :1]}, 3) == 3, "another shape"
