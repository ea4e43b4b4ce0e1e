"""The command says what exists, and names what does not."""

import json
import os
import subprocess
import sys

import pytest

from refquant.contracts import PRESETS
from refquant_conformance.cli import main


def test_list_names_contracts_and_oracles(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list", "--json"]) == 0, "list failed"
    listed = json.loads(capsys.readouterr().out)
    assert listed["contracts"] == list(PRESETS), f"{listed['contracts']}"
    assert "quantize_exact" in listed["oracle"], f"{listed['oracle']}"
    assert main(["list"]) == 0, "list failed"
    assert "tflite_reference" in capsys.readouterr().out, "the text does not list the contracts"


def test_identify_names_the_contract(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--backend", "reference:torch", "--op", "quantize_linear", "--scheme", "f32_i8"]
    assert main(["identify", *asked, "--json"]) == 0, "identify failed"
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["contract"] == "torch", f"{cell}"
    assert cell["axes"]["scale_op"] == "reciprocal_f32", f"{cell}"
    assert main(["identify", *asked, "--evidence"]) == 0, "identify failed"
    text = capsys.readouterr().out
    assert "not rounding=half_away: x=[1.5]" in text, f"no evidence in {text}"


def test_run_is_red_for_a_planted_bug_and_says_why(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["--scheme", "f32_i8", "--property", "QDQ-02", "--json"]
    assert main(["run", "--backend", "reference:onnx", *asked]) == 0, "the reference is red"
    found = json.loads(capsys.readouterr().out)
    assert {"backend", "version", "cells"} <= set(found), f"{found}"
    assert found["cells"][0]["verdict"] == "BIT_EXACT", f"{found}"
    assert main(["run", "--backend", "mutant:half_away", *asked]) == 1, "a bug is not red"
    (cell,) = json.loads(capsys.readouterr().out)["cells"]
    assert cell["verdict"] == "FAILS", f"{cell}"
    assert cell["mismatches"] == 1, f"{cell}"
    assert "the contract computes" in cell["detail"], f"{cell}"


@pytest.mark.parametrize(
    ("arguments", "code", "word"),
    [
        (["identify", "--backend", "nobody"], 1, "no backend 'nobody'"),
        (["run", "--cmd", "/no/such/program"], 1, "is the path right?"),
        (["run", "--backend", "reference:onnx", "--op", "nop"], 2, "no operator 'nop'"),
        (["run", "--backend", "reference:onnx", "--property", "X"], 2, "no property 'X'"),
        (["run", "--backend", "reference:onnx", "--knob", "threads"], 2, "NAME=VALUE"),
        (["mutants", "nobody"], 2, "no mutant 'nobody'"),
        (["mutants", "--seeds", "0"], 2, "--seeds"),
    ],
)
def test_wrong_arguments_get_one_sentence(
    arguments: list[str], code: int, word: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == code, f"{arguments}"
    captured = capsys.readouterr()
    assert captured.out == "", f"wrote to stdout: {captured.out}"
    assert word in captured.err, f"{captured.err}"
    assert captured.err.count("\n") == 1, f"more than one sentence: {captured.err}"


def test_wrong_usage_is_two_and_help_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0, "help"
    assert "prove it" in capsys.readouterr().out, "help does not say what it is for"
    assert main([]) == 2, "no command"
    assert main(["lsit"]) == 2, "an unknown command"
    assert main(["list", "--jsn"]) == 2, "an unknown option"
    assert main(["list", "--help"]) == 0, "help"
    assert "example:" in capsys.readouterr().out, "help has no example"


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "refquant_conformance", "list"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},  # without an installation too
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("backends: "), done.stdout
