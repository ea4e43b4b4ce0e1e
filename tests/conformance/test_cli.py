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


@pytest.mark.parametrize("command", ["identify", "run", "mutants", "vectors", "report"])
def test_commands_of_later_versions_say_so(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--backend", "x"]) == 2, "not an error"
    captured = capsys.readouterr()
    assert captured.out == "", f"wrote to stdout: {captured.out}"
    assert f"'{command}' comes with a later version" in captured.err, f"{captured.err}"
    assert captured.err.count("\n") == 1, f"more than one sentence: {captured.err}"


def test_wrong_usage_is_two_and_help_is_zero(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0, "help"
    assert "comes with a later one" in capsys.readouterr().out, "it promises more than there is"
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
    assert done.stdout.startswith("contracts: "), done.stdout
