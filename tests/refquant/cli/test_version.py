"""``--version`` of each command is that of its package; ``python -m`` is the command."""

import subprocess
import sys
from importlib.metadata import version

import pytest

from refquant.cli.main import main as refquant
from refquant_conformance.cli import main as conformance
from refquant_runtime.cli import main as runtime
from tests.refquant.cli.test_main import environment


@pytest.mark.parametrize(
    ("name", "main"),
    [
        ("refquant", refquant),
        ("refquant-conformance", conformance),
        ("refquant-runtime", runtime),
    ],
)
def test_the_version_is_that_of_the_package(
    name: str, main: object, capsys: pytest.CaptureFixture[str]
) -> None:
    assert callable(main), f"{name} is a command"
    try:
        code = main(["--version"])
    except SystemExit as stop:
        code = stop.code
    told = capsys.readouterr().out
    assert (code, told) == (0, f"{name} {version(name)}\n"), f"{name}: {code}, {told!r}"


@pytest.mark.parametrize("module", ["refquant", "refquant_conformance", "refquant_runtime"])
def test_python_m_is_the_command(module: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", module, "inspct"],
        capture_output=True, text=True, check=False, env=environment(),
    )  # fmt: skip
    assert done.returncode == 2, f"wrong usage is 2: {done}"
    assert module.replace("_", "-") in done.stderr, f"it is named: {done.stderr}"
