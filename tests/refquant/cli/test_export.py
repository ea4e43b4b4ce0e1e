"""`refquant export`: an `.onnx` file that onnxruntime runs, or one sentence and no file."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.rq import write_rq
from tests.refquant.model.conftest import quantized_cnn

Refquant = Callable[..., Any]


def test_onnxruntime_runs_what_is_written(refquant: Refquant, tmp_path: Path) -> None:
    graph = quantized_cnn()
    write_rq(tmp_path / "q.rq", graph)
    done = refquant(
        "export", tmp_path / "q.rq", "-o", tmp_path / "q.onnx", "--form", "qoperator", "--json"
    )
    assert done.code == 0, done.err
    told = json.loads(done.out)
    assert (told["form"], told["files"]) == ("qoperator", ["q.onnx"]), f"{told}"
    assert told["bytes"] == (tmp_path / "q.onnx").stat().st_size, f"{told}"
    x = np.random.default_rng(1).standard_normal((3, 2, 4, 4)).astype(np.float32)
    session = onnxruntime.InferenceSession(str(tmp_path / "q.onnx"))
    got = session.run(list(graph.outputs), {graph.inputs[0]: x})
    want = run(graph, {graph.inputs[0]: x})
    for name, array in zip(graph.outputs, got, strict=True):
        assert np.array_equal(array, want[name]), f"{name} differs"


def test_without_codes_the_form_is_float(refquant: Refquant, tmp_path: Path) -> None:
    b = Builder("g")
    write_rq(tmp_path / "f.rq", b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")]))
    done = refquant("export", tmp_path / "f.rq", "-o", tmp_path / "f.onnx")
    assert done.code == 0, done.err
    assert done.out.endswith("1 nodes of " + str(tmp_path / "f.rq") + ", form float\n"), done.out


@pytest.mark.parametrize(
    ("output", "said"),
    [
        ("q.tflite", "TFLite is not written, only read"),
        ("q.bin", "give a path that ends in .onnx"),
    ],
)
def test_other_formats_are_refused(
    refquant: Refquant, tmp_path: Path, output: str, said: str
) -> None:
    write_rq(tmp_path / "q.rq", quantized_cnn())
    done = refquant("export", tmp_path / "q.rq", "-o", tmp_path / output)
    assert done.code == 2, done.out
    assert said in done.err, done.err
    assert not (tmp_path / output).exists(), "nothing is written"


def test_what_has_no_form_is_one_sentence_and_no_file(refquant: Refquant, tmp_path: Path) -> None:
    b = Builder("g")
    h = b.node("Hadamard", [b.input("x", ("N", 4))], name="turn")
    write_rq(tmp_path / "h.rq", b.graph([b.node("Hadamard", [h], name="back")]))
    done = refquant("export", tmp_path / "h.rq", "-o", tmp_path / "h.onnx")
    assert done.code == 1, done.out
    assert "2 nodes cannot be exported: turn (Hadamard)" in done.err, done.err
    assert "back (Hadamard): Hadamard is no operator of ONNX" in done.err, done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["h.rq"], "nothing is left behind"


def test_without_the_library_the_sentence_names_the_extra(
    refquant: Refquant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_rq(tmp_path / "q.rq", quantized_cnn())
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    done = refquant("export", tmp_path / "q.rq", "-o", tmp_path / "q.onnx")
    assert done.code == 1, done.out
    assert "pip install 'refquant[onnx]'" in done.err, done.err
    assert not (tmp_path / "q.onnx").exists(), "nothing is written"
