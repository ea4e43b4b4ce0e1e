"""``vectors``: write, check, ask; what was tampered with is refused."""

import json
from pathlib import Path

import pytest

from refquant_conformance.cli import main


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The vectors of one operator, and their digests."""
    assert main(["vectors", "generate", str(tmp_path), "--op", "decode"]) == 0, "not generated"
    return tmp_path


def test_what_is_generated_is_right_and_listed(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "decode.json"
    (line,) = (folder / "SHA256SUMS").read_text().splitlines()
    assert line.endswith("  decode.json"), line
    assert main(["vectors", "lint", str(file)]) == 0, "a new file is wrong"
    assert capsys.readouterr().out == "every answer is right\n", "lint says otherwise"


def test_an_answer_that_was_changed_is_found(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = folder / "decode.json"
    text = file.read_text()
    at = text.index('"contracts"') + text[text.index('"contracts"') :].index(':"') + 2
    digit = "0" if text[at] != "0" else "1"
    file.write_text(text[:at] + digit + text[at + 1 :])
    assert main(["vectors", "lint", str(file)]) == 1, "a wrong answer is right"
    assert "decode.json" in capsys.readouterr().out, "the file is not named"


def test_a_backend_is_asked(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--backend", "reference:onnx", "--file", str(folder / "decode.json")]
    assert main(["vectors", "run", *asked, "--scheme", "e4m3fn_f32", "--json"]) == 0, "failed"
    out = capsys.readouterr().out
    (cell,) = json.loads(out[out.index("{") :])["cells"]
    assert "spec" in cell["contracts"], f"{cell}"
    assert cell["unanswered"] == 0, f"{cell}"
    assert main(["vectors", "run", *asked, "--contract", "nobody"]) == 1, "nobody's contract"


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        (["generate", "somewhere", "--op", "nop"], 2, "no vectors of 'nop'"),
        (["lint", "/no/such/vectors.json"], 1, "/no/such/vectors.json"),
        (["run", "--backend", "nobody"], 1, "no backend 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_one_sentence(
    words: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["vectors", *words]) == code, f"{words}"
    error = capsys.readouterr().err
    assert told in error, error
    assert error.count("\n") == 1, error
