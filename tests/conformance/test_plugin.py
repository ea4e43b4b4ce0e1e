"""The pytest plug-in: a test for each property and cell, and silence unless it is asked."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# An installation has an entry point for it, which is not loaded: no plug-in may be loaded twice.
PLUGIN = ("-p", "refquant_conformance.plugin")


def pytest_says(tmp_path: Path, *arguments: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *PLUGIN, "-p", "no:cacheprovider", *arguments],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(sys.path),
            "PYTEST_ADDOPTS": "",
            "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1",
        },
    )
    return done.returncode, done.stdout + done.stderr


SUITE = ("--pyargs", "refquant_conformance", "-k", "QDQ-02 and f32_i8]")


def test_a_clean_backend_passes_and_is_reported(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    asked = ("--rq-backend=reference:onnx", f"--rq-report={report}")
    code, said = pytest_says(tmp_path, *SUITE, *asked)
    assert code == 0, said
    assert "refquant: reference:onnx" in said, f"the header does not say who is judged: {said}"
    (cell,) = json.loads(report.read_text("utf-8"))["results"]
    assert (cell["property"], cell["verdict"]) == ("QDQ-02", "BIT_EXACT"), f"{cell}"


def test_a_planted_bug_fails_with_its_reason(tmp_path: Path) -> None:
    code, said = pytest_says(tmp_path, *SUITE, "--rq-backend=mutant:half_away")
    assert code == 1, said
    assert "[QDQ-02[quantize_linear,f32_i8]]" in said, f"no stable id in {said}"
    assert "the contract computes" in said, f"no reason in {said}"


def test_a_stale_deviation_fails_the_session(tmp_path: Path) -> None:
    file = tmp_path / "known.toml"
    entry = 'property = "QDQ-02"\nbackend = "reference:onnx"\nreason = "none"\n'
    file.write_text(f"[[deviation]]\n{entry}", "utf-8")
    asked = ("--rq-backend=reference:onnx", f"--rq-deviations={file}")
    code, said = pytest_says(tmp_path, *SUITE, *asked)
    assert code == 1, said
    assert "STALE" in said, said


def test_who_does_not_ask_sees_nothing(tmp_path: Path) -> None:
    (tmp_path / "test_own.py").write_text(
        "import sys\n\ndef test_own():\n"
        "    assert 'refquant_conformance.judge' not in sys.modules\n"
        "    assert 'refquant' not in sys.modules\n",
        "utf-8",
    )
    code, said = pytest_says(tmp_path, "test_own.py")
    assert code == 0, said
    assert "refquant:" not in said, f"a line of the plug-in in {said}"
    code, said = pytest_says(tmp_path, *SUITE)
    assert code == 5, f"tests without a backend: {said}"  # pytest's code for: none collected


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (("--rq-backend=nobody",), "no backend 'nobody'"),
        (("--rq-backend=tests.conformance.bad_backends:Empty",), "lists no cell"),
        (("--rq-backend=reference:onnx", "--rq-profile=fast"), "--rq-profile is one of"),
        (("--rq-backend=reference:onnx", "--rq-cmd=true"), "not both"),
        (("--rq-backend=reference:onnx", "--rq-deviations=no.toml"), "no.toml"),
    ],
)
def test_wrong_options_end_the_session_with_a_sentence(
    tmp_path: Path, arguments: tuple[str, ...], word: str
) -> None:
    code, said = pytest_says(tmp_path, *SUITE, *arguments)
    assert code == 4, said  # pytest's code for wrong usage
    assert word in said, said
