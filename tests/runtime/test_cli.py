"""The command line: exit codes, one sentence on stderr, no traceback, help with an example."""

import io
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refquant_runtime import cli
from refquant_runtime.cli import main, pairs
from tests.runtime.zoo import environment, file_of

COMMANDS = ["info", "run", "bench", "profile", "doctor", "batch"]
MODELS = ["info", "run", "bench", "profile"]


@pytest.fixture
def model(tmp_path: Path) -> str:
    (tmp_path / "m.rq").write_bytes(file_of("weight_only"))
    return str(tmp_path / "m.rq")


def usage(argv: list[str]) -> int | str | None:
    with pytest.raises(SystemExit) as caught:
        main(argv)
    return caught.value.code


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help_with_an_example(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert usage([command, "--help"]) == 0, "asked for, so no error"
    text = capsys.readouterr().out
    assert f"example: refquant-runtime {command}" in text, "an example to copy"


def test_the_command_itself_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(["--help"]) == 0, "asked for"
    text = capsys.readouterr().out
    assert all(command in text for command in COMMANDS), "every command is listed"


def test_help_imports_neither_numba_nor_numpy() -> None:
    code = """
import sys
from refquant_runtime.cli import main
try:
    main(["--help"])
finally:
    print("modules", *sys.modules)
"""
    command = [sys.executable, "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, env=environment())
    loaded = set(done.stdout.partition("modules ")[2].split())
    assert "refquant_runtime.cli" in loaded, f"{done.stdout}{done.stderr}"
    assert not loaded & {"numba", "numpy", "refquant_runtime.session"}, "it runs no model"


@pytest.mark.parametrize(
    "argv",
    [
        [], ["sing"], ["run"], ["run", "m.rq", "--threads", "0"], ["run", "m.rq", "--threads", "x"],
        ["run", "m.rq", "--threads", "999"], ["bench", "m.rq", "--threads", "257"],
        ["bench", "m.rq", "--runs", "-1"], ["info", "m.rq", "n.rq"], ["doctor", "m.rq"], ["batch"],
        ["info", "m.rq", "--loud"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_usage_is_two(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert usage(argv) == 2, "wrong usage"
    streams = capsys.readouterr()
    assert "usage: refquant-runtime" in streams.err, "it says how"
    assert not streams.out, "nothing on stdout"


@pytest.mark.parametrize("command", ["warmup", "generate", "chat", "serve"])
def test_what_comes_later_says_so(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([command]) == 2, "not there yet"
    assert f"{command} comes with" in capsys.readouterr().err, "when it comes"


def failure(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """Run a command that fails and return its sentence."""
    assert main(argv) == 1, f"{argv} fails"
    streams = capsys.readouterr()
    assert not streams.out, "nothing on stdout"
    assert streams.err.startswith(f"refquant-runtime {argv[0]}: "), "it says who speaks"
    assert streams.err.count("\n") == 1, f"one sentence: {streams.err}"
    assert "Traceback" not in streams.err, "no traceback"
    return streams.err


@pytest.mark.parametrize("command", MODELS)
def test_every_bad_model_is_one_sentence(
    command: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    good = file_of("weight_only")
    contents = {
        "empty.rq": b"", "short.rq": good[:-1], "long.rq": good + b"\0",
        "flipped.rq": good[:-3] + bytes([good[-3] ^ 1]) + good[-2:], "text.rq": b"hello" * 99,
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
        assert name in failure([command, str(tmp_path / name)], capsys), "the file is named"
    assert "directory" in failure([command, str(tmp_path)], capsys), "a folder"
    assert "no such file" in failure([command, str(tmp_path / "none.rq")], capsys), "nothing"


def test_bad_inputs_outputs_and_surroundings_are_one_sentence(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.savez(tmp_path / "other.npz", z=np.zeros(3))
    np.savez(tmp_path / "wide.npz", x=np.zeros((2, 5)))
    (tmp_path / "no.npz").write_text("no")
    cases = {
        "none.npz": "no such file", "other.npz": "has no array 'x' but ['z']; rename one",
        "wide.npz": "input 'x' must be an array of float32", "no.npz": "not a readable .npz file",
    }  # fmt: skip
    for name, problem in cases.items():
        said = failure(["run", model, "--input", str(tmp_path / name)], capsys)
        assert problem in said, f"{name}: {said}"
    target = str(tmp_path / "no" / "y.npz")
    assert "cannot be written" in failure(["run", model, "--output", target], capsys), "no folder"
    monkeypatch.setenv("REFQUANT_ISA", "mmx")
    for command in (["run", model], ["doctor"]):
        assert "REFQUANT_ISA is 'mmx'" in failure(command, capsys), "an unknown instruction set"


JOBS: dict[str, tuple[str, str]] = {
    "no json": ("{", "not JSON"),
    "deep": ("[" * 100_000, "not JSON"),
    "no list": ("{}", "is not a JSON list of jobs"),
    "no object": ("[1]", "a job needs model, input and output"),
    "missing": ('[{"model":"m.rq","input":"x.npz"}]', "a job needs model, input and output"),
    "unknown": ('[{"model":"m","input":"x","output":"y","speed":9}]', "knows only"),
    "model": ('[{"model":5,"input":"x","output":"y"}]', "a job's model is a string, got 5"),
    "isa": ('[{"model":"m","input":"x","output":"y","isa":[]}]', "a job's isa is a string"),
    "threads": ('[{"model":"m","input":"x","output":"y","threads":2}]', "threads is a list"),
    "file": ('[{"model":"none.rq","input":"x","output":"y"}]', "none.rq: file: no such file"),
}


@pytest.mark.parametrize("name", JOBS)
def test_bad_jobs_are_one_sentence(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    text, problem = JOBS[name]
    (tmp_path / "jobs.json").write_text(text)
    assert problem in failure(["batch", str(tmp_path / "jobs.json")], capsys), "from a file"
    line = text[1:-1] if text.startswith("[{") or text == "[1]" else text
    if name != "no list":
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"\n{line}\n"))
        assert problem in failure(["batch", "-"], capsys), "from a line of stdin"


def test_missing_job_files_are_one_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "bytes.json").write_bytes(b"\xff\xfe")
    for path in (tmp_path / "none.json", tmp_path, tmp_path / "bytes.json"):
        assert f"{path}: cannot be read" in failure(["batch", str(path)], capsys), "typed"


def test_an_interrupt_is_no_traceback(
    model: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    from refquant_runtime import commands

    monkeypatch.setattr(commands, "run_info", interrupted)
    assert main(["info", model]) == 130, "as shells say it"
    assert capsys.readouterr().err == "refquant-runtime: interrupted\n", "one sentence"


def test_results_for_people_are_aligned() -> None:
    assert pairs({"a": 1, "long": "x"}) == ["a     1", "long  x"], "keys of one width"
    assert cli._positive("3") == 3, "a count"
    assert cli._threads("256") == 256, "the most"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MemoryError("unable to allocate"), "not enough memory; pass fewer samples"),
        (PermissionError(13, "Permission denied", "m.rq"), "m.rq: Permission denied; give a path"),
        (ValueError("a\nb; do c"), "a b; do c"),
        (OSError(), "OSError"),
    ],
)
def test_what_goes_wrong_is_one_sentence(error: Exception, said: str) -> None:
    assert cli._sentence(error).startswith(said), cli._sentence(error)


def test_the_command_is_installed_and_is_the_module(model: str) -> None:
    script = Path(sys.executable).with_name("refquant-runtime")
    commands = [[sys.executable, "-m", "refquant_runtime"]]
    for command in commands + [[str(script)]] * script.exists():  # a mere clone has no script
        done = subprocess.run(
            [*command, "run", model, "--json"], capture_output=True, text=True, env=environment()
        )
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["outputs"]["y"]["shape"] == [2, 2], "JSON and nothing else"


def test_a_reader_that_leaves_early_is_no_error(model: str) -> None:
    child = subprocess.Popen(
        [sys.executable, "-m", "refquant_runtime", "info", model],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment(),
    )  # fmt: skip
    assert child.stdout is not None, "a pipe"
    assert child.stderr is not None, "a pipe"
    child.stdout.close()
    with child.stderr:
        said = child.stderr.read().decode()
    assert child.wait(60) == 0, said
    assert said == "", "as `refquant-runtime info m.rq | head -1`"


@pytest.mark.slow  # it compiles
def test_the_first_start_says_once_that_it_compiles_and_the_next_says_nothing(
    model: str, tmp_path: Path
) -> None:
    cache = tmp_path / "cache"
    folders = environment(XDG_CACHE_HOME=str(cache), NUMBA_CACHE_DIR=str(cache))

    def start() -> tuple[str, str]:
        command = [sys.executable, "-m", "refquant_runtime", "run", model, "--threads", "2"]
        done = subprocess.run([*command, "--json"], capture_output=True, text=True, env=folders)
        assert done.returncode == 0, done.stderr
        digest: str = json.loads(done.stdout)["outputs"]["y"]["sha256"]
        return done.stderr, digest

    notice = "refquant-runtime: compiling kernels for this CPU; this takes up to a minute, once\n"
    first, second = start(), start()
    assert first[0] == notice, "once on a cold cache"
    assert second == ("", first[1]), "never again, and the same bits"
    for file in cache.rglob("*.nb[ci]"):  # as after a loss of power
        os.truncate(file, file.stat().st_size // 2)
    assert start() == first, "a damaged cache is made again"
