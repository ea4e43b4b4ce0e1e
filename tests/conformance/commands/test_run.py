"""``run``: a verdict a line, files of all kinds, several seeds, and an exit code to rely on."""

import json
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from refquant_conformance.cli import main
from tests.conformance.bad_backends import HERE

CELL = ["--op", "quantize_linear", "--scheme", "f32_u8", "--property", "QDQ-02"]


def run(*words: str) -> int:
    return main(["run", *words])


def test_every_file_is_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = {kind: tmp_path / f"report.{kind}" for kind in ("json", "html", "xml")}
    files = ["--report", names["json"], "--html", names["html"], "--junit", names["xml"]]
    assert run("--backend", "mutant:half_away", *CELL, *map(str, files)) == 1, "a bug is not red"
    text = capsys.readouterr().out
    assert "FAILS" in text, text
    report = json.loads(names["json"].read_text())
    (found,) = [x for x in report["identified"] if x["op"] == "quantize_linear"]
    assert found["compared"] == sum(line["compared"] for line in report["results"]), f"{found}"
    assert b"FAILS" in names["html"].read_bytes(), "the page"
    assert ET.parse(names["xml"]).getroot().get("failures") == "1", "JUnit"


def test_several_seeds_agree(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--backend", "reference:onnx", *CELL, "--seeds", "3") == 0, "the reference"
    assert "the same verdicts with 3 seeds\n" in capsys.readouterr().out, "nothing is said of it"
    assert run("--backend", "reference:onnx", *CELL, "--seeds", "2", "--json") == 0, "json"
    assert json.loads(capsys.readouterr().out)["wavering"] == [], "seeds disagree"


def test_a_backend_that_wavers_is_red(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--backend", f"{HERE}:Wavers", *CELL, "--seeds", "2"]
    assert run(*asked) == 1, "seeds disagree, and it is not red"
    text = capsys.readouterr().out
    assert "depend on the seed" in text, text
    assert "seed 0: BIT_EXACT" in text, text


def test_silence_of_the_specification_is_told_and_not_red(
    capsys: pytest.CaptureFixture[str],
) -> None:
    asked = ["--op", "quantize_linear", "--scheme", "f32_u8", "--property", "QDQ-11"]
    assert run("--backend", "reference:onnx", *asked) == 0, "silence is red"
    assert "SPEC_AMBIGUOUS" in capsys.readouterr().out, "silence is not told"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["--seeds", "0"], 2, "--seeds must be >= 1"),
        (["--property", "QDQ-99"], 2, "no property 'QDQ-99'"),
        (["--report", "/no/such/folder/report.json"], 1, "/no/such/folder"),
        (["--deviations", "/no/such/file.toml"], 1, "/no/such/file.toml"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("--backend", "reference:onnx", *words) == code, f"{words}"
    captured = capsys.readouterr()
    assert captured.out == "", captured.out
    assert told in captured.err, captured.err
    assert captured.err.count("\n") == 1, captured.err
