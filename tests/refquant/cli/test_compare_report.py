"""``refquant compare --html``: the page is there whole, or not at all."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.refquant.report.html_page import faults, read

Refquant = Callable[..., Any]


@pytest.fixture
def small(refquant: Refquant, model: Path, data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "small.rq"
    options = ("--recipe", "int8_static", "--calibration", data, "-o", path)
    assert refquant("quantize", model, *options).code == 0, "no model"
    return path


def test_the_page_names_both_models_and_the_data(
    refquant: Refquant, model: Path, small: Path, data: Path, tmp_path: Path
) -> None:
    page = tmp_path / "report.html"
    done = refquant("compare", model, small, "--data", data, "--html", page)
    assert done.code == 0, done.err
    made = read(page.read_bytes())
    assert faults(made) == [], f"{faults(made)}"
    for path in (model, small):
        content = path.read_bytes()
        for words in (str(path), f"{len(content):,}", hashlib.sha256(content).hexdigest()):
            assert words in made.text, words
    assert hashlib.sha256(data.read_bytes()).hexdigest()[:16] in made.text, "the data"
    assert "30 samples" in made.text, made.text
    assert "The slowest nodes" not in made.text, "a page is the same after every run"
    assert done.out.endswith(f"{page}: {page.stat().st_size:,} bytes\n"), done.out
    assert [p.name for p in tmp_path.iterdir() if p.name.startswith(".")] == [], "nothing is left"


def test_a_page_is_the_same_after_every_run(
    refquant: Refquant, model: Path, small: Path, data: Path, tmp_path: Path
) -> None:
    pages = [tmp_path / "1.html", tmp_path / "2.html"]
    for page in pages:
        done = refquant("compare", model, small, "--data", data, "--html", page, "--json")
        assert done.code == 0, done.err
        assert json.loads(done.out)["html"] == str(page), done.out
    assert pages[0].read_bytes() == pages[1].read_bytes(), "same inputs, same bytes"
    done = refquant("compare", model, small, "--data", data, "--html", pages[0], "--times")
    assert done.code == 0, done.err
    assert "ms of the reference" in read(pages[0].read_bytes()).text, "--times"


@pytest.mark.parametrize("library", ["jinja2", "matplotlib"])
def test_without_the_extra_it_is_named_before_any_work(
    refquant: Refquant, tmp_path: Path, library: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, library, None)
    done = refquant("compare", "no.rq", "no.rq", "--data", "no.npz", "--html", tmp_path / "r.html")
    assert done.code == 1, f"exit code {done.code}"
    assert library in done.err, done.err
    assert "pip install 'refquant[report]', or leave --html away" in done.err, done.err


def test_without_html_nothing_of_the_extra_is_needed(
    refquant: Refquant, model: Path, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for library in ("jinja2", "matplotlib"):
        monkeypatch.setitem(sys.modules, library, None)
    assert refquant("compare", model, model, "--data", data).code == 0, "numbers only"


def test_a_page_that_cannot_be_written_is_refused_before_any_work(
    refquant: Refquant, model: Path, small: Path, data: Path, tmp_path: Path
) -> None:
    before = {path: path.read_bytes() for path in (model, small, data)}
    for page, said in (
        (model, "is what is read"),
        (data, "is what is read"),
        (tmp_path, "is a folder"),
        (tmp_path / "no" / "r.html", "there is no folder"),
    ):
        done = refquant("compare", model, small, "--data", data, "--html", page)
        assert done.code in (1, 2), f"{page}: exit code {done.code}"
        assert said in done.err, done.err
    assert {path: path.read_bytes() for path in before} == before, "nothing is overwritten"


def test_a_failure_leaves_the_page_that_was_there(
    refquant: Refquant, model: Path, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = tmp_path / "r.html"
    page.write_text("old")

    def fail(contents: object) -> bytes:
        raise ValueError("no page today; come back")

    monkeypatch.setattr("refquant.cli.compare_report.render", fail)
    done = refquant("compare", model, model, "--data", data, "--html", page)
    assert done.code == 1, f"exit code {done.code}"
    assert page.read_text() == "old", "whole or not at all"
    np.savez(tmp_path / "empty.npz", x=np.zeros((0, 4), np.float32))
    done = refquant("compare", model, model, "--data", tmp_path / "empty.npz", "--html", page)
    assert done.code == 1, f"exit code {done.code}"
    assert "holds no samples; give at least one" in done.err, done.err
    assert page.read_text() == "old", "whole or not at all"


def test_wrong_usage_is_said(refquant: Refquant, model: Path, data: Path) -> None:
    done = refquant("compare", model, model, "--data", data, "--times")
    assert done.code == 2, f"exit code {done.code}"
    assert "--times is for the page" in done.err, done.err
    for threshold in ("nan", "inf", "-inf"):
        done = refquant("compare", model, model, "--data", data, f"--threshold={threshold}")
        assert done.code == 2, f"{threshold}: exit code {done.code}"
