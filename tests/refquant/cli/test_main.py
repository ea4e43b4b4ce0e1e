"""The dispatcher: exit codes, one sentence, no traceback."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.cli.main import COMMANDS, command_of, main

Refquant = Callable[..., Any]

NAMES = [
    *("demo", "import", "inspect", "run", "quantize", "evaluate", "compare"),
    *("export", "explain", "atlas"),
]


def environment() -> dict[str, str]:
    return os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def start(*arguments: object, stdout: Any = subprocess.PIPE) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "refquant.cli", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        # Background jobs inherit an interrupt that is ignored; this process is to hear it.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
        env=environment(),
    )


def test_the_commands_are_those_of_the_design() -> None:
    assert list(COMMANDS) == NAMES, "scripts depend on the names"
    assert [command_of(name).name for name in COMMANDS] == NAMES, "a command in another's file"


def test_help_and_a_command_import_no_other_command() -> None:
    code = """
import sys
from refquant.cli.main import main
assert main(sys.argv[1:]) == 0
print("modules", *sys.modules)
"""
    for arguments, least, heavy in (
        (["--help"], "refquant.cli.main", ("numpy", "refquant.model")),
        (["atlas", "--help"], "refquant.cli.atlas", ("refquant.report", "refquant.cli.compare")),
    ):
        command = [sys.executable, "-c", code, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, env=environment())
        assert done.returncode == 0, done.stderr
        loaded = set(done.stdout.partition("modules ")[2].split())
        assert least in loaded, f"{arguments}: {done.stdout}"
        never = {*heavy, *("numba", "onnx", "jinja2", "matplotlib", "rich")}
        assert not never & loaded, f"{arguments} imports {sorted(never & loaded)}"


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_help_with_an_example(name: str, refquant: Refquant) -> None:
    done = refquant(name, "--help")
    assert done.code == 0, done.err
    assert f"example:\n  refquant {name}" in done.out, f"no example: {done.out}"


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("inspct",),
        ("inspect",),
        ("inspect", "a.rq", "b.rq"),
        ("explain", "int9"),
        ("explain", "int8", "many"),
        ("explain", "int8", "1", "--contract", "nobody"),
        ("explain", "e4m3fn", "1", "--contract", "onnx"),
        ("inspect", "a.rq", "--jsn"),
        ("run", "a.rq"),
        ("quantize", "a.rq", "-o", "b.rq"),
        ("evaluate", "a.rq"),
        ("compare", "a.rq", "--data", "d.npz"),
        ("demo", "--samples", "0"),
        ("demo", "--samples", "many"),
        ("demo", "--samples", "2001"),
        ("demo", "--schemes", "float33"),
        ("demo", "--schemes", ""),
        ("demo", "--threads", "1,0"),
        ("demo", "--threads", "1,,2"),
    ],
)
def test_wrong_usage_is_two_and_one_sentence(
    arguments: tuple[str, ...], refquant: Refquant
) -> None:
    done = refquant(*arguments)
    assert done.code == 2, f"exit code {done.code}"
    assert done.out == "", f"wrote to stdout: {done.out}"
    assert done.err.startswith("refquant"), f"does not say who complains: {done.err}"
    assert done.err.count("\n") == 1, f"not one sentence: {done.err}"
    assert "--help" in done.err or " -h" in done.err, f"does not say what to do: {done.err}"


def test_a_failure_is_one(refquant: Refquant, tmp_path: Path) -> None:
    done = refquant("inspect", tmp_path / "missing.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "missing.rq" in done.err, f"does not name the file: {done.err}"


def test_errors_do_not_carry_control_characters_to_the_terminal(
    refquant: Refquant, tmp_path: Path
) -> None:
    done = refquant("inspect", tmp_path / "a\x1b[31m\nb.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "\x1b" not in done.err, f"an escape sequence: {done.err!r}"
    assert done.err.count("\n") == 1, f"not one line: {done.err!r}"


@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (MemoryError(), 1), (OSError(5, "I/O"), 1)]
)
def test_what_commands_raise_becomes_an_exit_code(
    error: BaseException,
    code: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def fail(path: str, *, part: str | None) -> None:
        raise error

    monkeypatch.setattr("refquant.cli.inspect.open_model", fail)
    assert main(["inspect", "--json", "x.rq"]) == code, f"not the exit code of {error!r}"
    captured = capsys.readouterr()
    assert captured.out == "", f"wrote to stdout: {captured.out}"
    assert captured.err.count("\n") == 1, f"not one sentence: {captured.err}"


def test_the_module_is_the_command(model: Path) -> None:
    with start("inspect", model, "--json") as process:
        out, err = process.communicate()
    assert (process.returncode, err) == (0, ""), err
    assert out.startswith("{"), out


def test_a_reader_that_leaves_is_no_traceback(model: Path) -> None:
    with start("inspect", model, "--json") as process:
        assert process.stdout is not None, "a pipe"
        process.stdout.close()
        assert process.stderr is not None, "a pipe"
        err = process.stderr.read()
    assert (process.returncode, err) == (1, ""), f"exit code {process.returncode}: {err}"


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs a device that is always full")
def test_a_full_disk_is_one_sentence(model: Path) -> None:
    with open("/dev/full", "w") as full, start("inspect", model, "--json", stdout=full) as process:
        _, err = process.communicate()
    assert process.returncode == 1, f"exit code {process.returncode}"
    assert err == "refquant inspect: no space left on device\n", err


def test_an_interrupt_is_130_and_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "scratch"
    folder.mkdir()
    with start("demo", "--json", "--output", folder) as process:
        while not list(folder.glob("*.rq")) and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    assert process.returncode == 130, f"exit code {process.returncode}: {err}"
    assert (out, err) == ("", "refquant: interrupted\n"), f"{out}{err}"
