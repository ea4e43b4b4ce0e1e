"""``report``: pages of several runs, JUnit of one, and what is no report."""

import json
from pathlib import Path
from typing import Any

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.cli import main
from refquant_conformance.judge import judge
from refquant_conformance.report.document import document
from refquant_conformance.subject import Local


@pytest.fixture
def report(tmp_path: Path) -> Path:
    """A report of one cell."""
    found = judge(
        Local(load_backend("mutant:half_away")), schemes=("f32_i8",), properties=("QDQ-02",)
    )
    path = tmp_path / "report.json"
    path.write_text(json.dumps(document(found)))
    return path


def test_page_findings_and_junit(report: Path, tmp_path: Path) -> None:
    names = {kind: str(tmp_path / kind) for kind in ("page.html", "findings.md", "junit.xml")}
    words = ["--html", names["page.html"], "--findings", names["findings.md"]]
    assert main(["report", str(report), *words, "--junit", names["junit.xml"]]) == 0, "one report"
    assert main(["report", str(report), str(report), *words]) == 0, "two reports"
    assert "<!DOCTYPE html>" in Path(names["page.html"]).read_text(), "the page"
    assert "## mutant:half_away" in Path(names["findings.md"]).read_text(), "the findings"
    assert "<testsuite" in Path(names["junit.xml"]).read_text(), "JUnit"


def test_what_is_asked_wrongly(
    report: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    junit = str(tmp_path / "junit.xml")
    for words, code, told in (
        ([str(report)], 2, "nothing to write"),
        ([str(report), str(report), "--junit", junit], 2, "--junit takes one report"),
        (["/no/such/report.json", "--junit", junit], 1, "/no/such/report.json"),
        ([str(report), "--html", "/no/such/folder/page.html"], 1, "/no/such/folder"),
    ):
        assert main(["report", *words]) == code, f"{words}"
        error = capsys.readouterr().err
        assert told in error, error
        assert error.count("\n") == 1, error
    assert not Path(junit).exists(), "half a file was written"


def spoiled(change: dict[str, Any]) -> str:
    return json.dumps({"schema_version": 1} | change)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "[]", "null", "[" * 100_000, spoiled({"schema_version": 2}), spoiled({})),
        *(spoiled({"backend": 1}), spoiled({"results": [1], "identified": [], "summary": {}})),
    ],
)
def test_what_is_no_report_is_refused_by_name(
    text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path, page = tmp_path / "bad.json", tmp_path / "page.html"
    path.write_text(text)
    assert main(["report", str(path), "--html", str(page)]) == 1, f"{text[:40]} was taken"
    error = capsys.readouterr().err
    assert "report" in error, error
    assert "run --report" in error, error
    assert not page.exists(), "a page of nothing"
