"""The runtime as a process: it answers in order, and its end is a sentence."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from refquant.cli import demo_runtime
from refquant.cli.demo_runtime import digest, runtime

Pretend = Callable[[str], None]


@pytest.fixture
def pretend(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, child_path: None) -> Pretend:
    """Put a module of the given text in the runtime's place."""

    def place(text: str) -> None:
        (tmp_path / "pretended_runtime.py").write_text(text)
        monkeypatch.syspath_prepend(tmp_path)
        monkeypatch.setenv("PYTHONPATH", str(tmp_path))
        monkeypatch.setattr(demo_runtime, "MODULE", "pretended_runtime")

    return place


def test_answers_come_in_order_while_jobs_are_sent(pretend: Pretend) -> None:
    pretend("import sys\nfor line in sys.stdin: print(line, end='', flush=True)")
    arrived: list[int] = []
    with runtime(lambda: arrived.append(1)) as device:
        for number in range(5):
            device.submit({"number": number, "text": "zwölf"})
        answers = [device.result() for _ in range(5)]
    assert [answer["number"] for answer in answers] == list(range(5)), f"{answers}"
    assert answers[0]["text"] == "zwölf", f"{answers[0]}"
    assert len(arrived) == 5, "somebody was not told"
    assert device.process.returncode is not None, "the process was left behind"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("import sys; sys.stderr.write('note\\nno such model\\n'); sys.exit(1)", "no such model"),
        ("import sys; sys.exit(3)", "ended with exit code 3"),
        ("import os; os.kill(os.getpid(), 9)", "killed by signal 9"),
        ("1 / 0", "ZeroDivisionError: division by zero"),
    ],
)
def test_a_process_that_dies_is_a_sentence(text: str, said: str, pretend: Pretend) -> None:
    pretend(text)
    with (
        runtime(lambda: None) as device,
        pytest.raises(ValueError, match=f"the runtime failed: {said}"),
    ):
        device.result()


def test_a_job_for_a_dead_process_is_a_sentence(pretend: Pretend) -> None:
    pretend("import sys; sys.exit('gone')")
    with runtime(lambda: None) as device:
        device.process.wait()
        with pytest.raises(ValueError, match="the runtime failed: gone"):
            device.submit({})
        with pytest.raises(ValueError, match="the runtime failed: gone"):
            device.check()
        with pytest.raises(ValueError, match="the runtime failed: gone"):
            device.result()


def test_an_answer_that_is_none_is_a_sentence(pretend: Pretend) -> None:
    pretend("print('hello', flush=True); input()")
    with (
        pytest.raises(ValueError, match=r"answered 'hello.*', which is no result"),
        runtime(lambda: None) as device,
    ):
        device.result()


def test_an_error_of_ours_ends_the_process(pretend: Pretend) -> None:
    pretend("import time; time.sleep(1000)")
    with pytest.raises(KeyboardInterrupt), runtime(lambda: None) as device:
        raise KeyboardInterrupt
    assert device.process.returncode == -9, f"{device.process.returncode}"


def test_a_runtime_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(demo_runtime, "MODULE", "refquant_runtime_of_nobody")
    with (
        pytest.raises(ValueError, match=r"is not installed, .* pip install \./runtime"),
        runtime(lambda: None),
    ):
        pass


def test_the_digest_is_the_runtimes(tmp_path: Path, model: Path, child_path: None) -> None:
    x = np.zeros((3, 4), np.float32)
    np.savez(tmp_path / "x.npz", x=x)
    job = {"model": str(model), "input": str(tmp_path / "x.npz"), "threads": [1]}
    with runtime(lambda: None) as device:
        device.submit(job | {"output": str(tmp_path / "y.npz")})
        answer = device.result()
    with np.load(tmp_path / "y.npz") as outputs:
        assert answer["outputs_sha256"] == {"1": digest(outputs)}, f"{json.dumps(dict(answer))}"
