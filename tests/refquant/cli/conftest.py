"""A small classifier in files, and the command as a user calls it."""

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from refquant.cli.main import main
from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.rq import write_rq


@dataclass(frozen=True)
class Done:
    """How a command ended."""

    code: int
    out: str
    err: str


Refquant = Callable[..., Done]


@pytest.fixture
def refquant(capsys: pytest.CaptureFixture[str]) -> Refquant:
    """Run a command; whatever happens, it is no traceback and at most one line of complaint."""

    def call(*arguments: object) -> Done:
        capsys.readouterr()
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        assert "Traceback" not in captured.err, captured.err
        if code != 0:
            assert captured.err.count("\n") <= 1, f"more than a sentence: {captured.err}"
        return Done(code, captured.out, captured.err)

    return call


@pytest.fixture
def child_path(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let processes that a test starts find what it finds, installed or not."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))


def classifier() -> Graph:
    """Four numbers in, the scores of three classes out."""
    rng = np.random.default_rng(1)
    b = Builder("classifier")
    w1 = b.constant("w1", rng.standard_normal((4, 8)).astype(np.float32))
    w2 = b.constant("w2", rng.standard_normal((8, 3)).astype(np.float32))
    h = b.node("Relu", [b.node("MatMul", [b.input("x", ("N", 4)), w1], name="first")])
    return b.graph([b.node("MatMul", [h, w2], name="y")])


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "float.rq"
    write_rq(path, classifier())
    return path


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Thirty samples, and labels that say nothing."""
    rng = np.random.default_rng(2)
    path = tmp_path / "data.npz"
    x = rng.standard_normal((30, 4)).astype(np.float32)
    np.savez(path, x=x, labels=np.arange(30) % 3)
    return path
