"""Programs that speak JSON lines, and programs that do not."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from refquant_conformance.adapters import BackendError, command, load_backend
from refquant_conformance.adapters.command import Command
from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.quantize import case_of
from refquant_conformance.judge import judge
from refquant_conformance.subject import Local

ROOT = Path(__file__).parents[3]
CASE = case_of("f32_i8", np.array([0.5, 1.5], np.float32), 1.0, 0)
HELLO = '{"protocol":1,"name":"p","version":"1","capabilities":[["quantize_linear","f32_i8"]]}'
GOOD = '"outputs":{"y":{"shape":[2],"hex":"0002"}}'


def program(tmp_path: Path, *body: str, hello: str = HELLO) -> str:
    """A program that greets, and then does ``body`` with each line as `n`."""
    lines = [
        *("import sys, os, time", f"print({hello!r}, flush=True)", "sys.stdin.readline()"),
        *("for n, line in enumerate(sys.stdin, 1):", *(f"    {one}" for one in body or ["pass"])),
    ]
    file = tmp_path / "program.py"
    file.write_text("\n".join(lines), "utf-8")
    return f"cmd:{sys.executable} -S {file}"


def ask(spec: str, count: int) -> list[Answer]:
    backend = Command(spec.removeprefix("cmd:"))
    answers = Local(backend).ask([CASE] * count)
    backend.close()
    return answers


def kinds(spec: str, count: int = 3) -> list[str]:
    return [answer.kind for answer in ask(spec, count)]


ANSWER = f"print('{{\"id\":%d,{GOOD}}}' % n, flush=True)"


def test_a_program_that_answers_is_asked_and_named(tmp_path: Path) -> None:
    backend = Command(program(tmp_path, ANSWER).removeprefix("cmd:"))
    local = Local(backend)
    assert (local.info.name, len(local.capabilities)) == ("p", 1), f"{local.info}"
    (answer,) = local.ask([CASE])
    backend.close()
    assert answer.result is not None, f"{answer}"
    assert answer.result.outputs["y"].tolist() == [0, 2], f"{answer}"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("sys.exit(3)", ["crashed"] * 3),
        ("os.close(1); time.sleep(60)", ["crashed"] * 3),
        ("print('computing', flush=True)", ["broken"] * 3),
        ("print('{\"id\":99}', flush=True)", ["broken"] * 3),
        ("os.write(1, b'\\xff\\xfe\\n')", ["broken"] * 3),
        ('print(\'{"id":%d,"unsupported":"no"}\' % n, flush=True)', ["unsupported"] * 3),
        ('print(\'{"id":%d,"rejected":"no"}\' % n, flush=True)', ["rejected"] * 3),
    ],
)
def test_what_goes_wrong_has_its_word(tmp_path: Path, body: str, expected: list[str]) -> None:
    assert kinds(program(tmp_path, body)) == expected, body


def test_who_dies_once_is_started_again(tmp_path: Path) -> None:
    once = tmp_path / "once"
    body = f"os.path.exists({str(once)!r}) or (open({str(once)!r}, 'w'), os._exit(5))"
    answer = "i = __import__('json').loads(line)['id']; " + ANSWER.replace("% n", "% i")
    assert kinds(program(tmp_path, body, answer)) == ["crashed", "result", "result"], "not again"


@pytest.mark.parametrize(
    ("hello", "word"),
    [
        ("hi", "does not greet"),
        ("[]", "lacks protocol, name"),
        ('{"hello":1}', "lacks protocol"),
        (HELLO.replace('"protocol":1', '"protocol":2'), "speaks protocol 2, this judge 1"),
        (HELLO.replace('[["quantize_linear","f32_i8"]]', '["quantize_linear"]'), "list of pairs"),
        (HELLO.replace('[["quantize_linear","f32_i8"]]', "3"), "list of pairs"),
    ],
)
def test_a_wrong_greeting_is_told(tmp_path: Path, hello: str, word: str) -> None:
    with pytest.raises(BackendError, match="cmd: ") as caught:
        load_backend(program(tmp_path, hello=hello))
    assert word in str(caught.value), f"{caught.value}"


def test_what_is_no_program_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for spec, word in (("cmd", "needs a program"), ("cmd:/no/such", "is the path right")):
        with pytest.raises(BackendError, match=word):
            load_backend(spec)
    with pytest.raises(BackendError, match=r"does not greet: .* ended with 0"):
        load_backend("cmd:true")
    monkeypatch.setattr(command, "_GREETING", 0.2)
    with pytest.raises(BackendError, match=r"does not greet within 0.2 s"):
        load_backend("cmd:sleep 60")


def test_the_example_in_c_is_clean(tmp_path: Path) -> None:
    source = ROOT / "examples" / "conformance" / "backend.c"
    strict = ("-std=c11", "-Wall", "-Wextra", "-Werror", "-pedantic")
    subprocess.run(["cc", "-O2", *strict, "-o", tmp_path / "b", source, "-lm"], check=True)
    backend = Command(str(tmp_path / "b"))
    found = judge(Local(backend), properties=("QDQ-02", "QDQ-03"))
    backend.close()
    assert found.cells, "nothing was asked"
    assert not found.red, f"{[(c.property, c.detail) for c in found.red]}"
