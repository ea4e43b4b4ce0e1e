"""``mutants``: who finds which bug, in one process or two, and the page of all."""

import json
from pathlib import Path

import pytest

from refquant_conformance.cli import main
from refquant_conformance.commands import mutants
from refquant_conformance.mutants import MUTANTS


def test_a_row_says_who_finds_it(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mutants", "half_away", "--jobs", "1"]) == 0, "it survived"
    row, total = capsys.readouterr().out.splitlines()
    assert row.split()[:3] == ["killed", "half_away", "QDQ-02"], row
    assert total == "1 of 1 killed as expected", total


def test_two_processes_say_what_one_says(capsys: pytest.CaptureFixture[str]) -> None:
    told = []
    for jobs in ("1", "2"):
        names = ["half_away", "empty_is_one"]
        assert main(["mutants", *names, "--jobs", jobs, "--json"]) == 0, f"{jobs} processes"
        told.append(json.loads(capsys.readouterr().out))
    assert told[0] == told[1], f"{told}"
    assert told[0]["matrix"] == {"half_away": ["QDQ-02"], "empty_is_one": ["X-01"]}, f"{told}"


def test_a_page_is_of_all_bugs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    few = {name: MUTANTS[name] for name in ("empty_file",)}
    monkeypatch.setattr(mutants, "MUTANTS", few)
    clean = type("Clean", (), {"red": ()})
    monkeypatch.setattr(mutants, "judge", lambda *_, **__: clean)
    page = tmp_path / "matrix.md"
    assert main(["mutants", "--matrix", "--jobs", "1", "--page", str(page)]) == 0, "it failed"
    text = page.read_text()
    assert "| `empty_file` |" in text, text
    assert "has no red line" in text, text
    assert "1 of 1" in capsys.readouterr().out, "the rows are printed, too"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nobody"], "no mutant 'nobody'"),
        (["--seeds", "0"], "--seeds must be >= 1"),
        (["--jobs", "0"], "--jobs must be >= 1"),
        (["--page", "matrix.md"], "--page is of the whole matrix"),
        (["half_away", "--matrix", "--page", "matrix.md"], "--page is of the whole matrix"),
    ],
)
def test_wrong_usage_is_one_sentence(
    words: list[str], told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["mutants", *words]) == 2, f"{words}"
    captured = capsys.readouterr()
    assert captured.out == "", captured.out
    assert told in captured.err, captured.err
