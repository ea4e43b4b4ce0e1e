"""Protobufs: the same bytes every time, whole files or none, external data, the card."""

import json
import os
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.exporters.onnx_export import onnx_bytes, write_onnx
from refquant.model.graph import Graph
from refquant.model.importers.onnx_import import import_onnx
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from tests.refquant.model.conftest import quantized_cnn


def _wide() -> Graph:
    rng = np.random.default_rng(0)
    b = Builder("wide")
    h = b.input("x", ("N", 64))
    for name in "abc":
        w = b.constant(name, rng.integers(-2, 3, (64, 64)).astype(np.float32))
        h = b.node("MatMul", [h, w], name="y" if name == "c" else None)
    return b.graph([h])


def test_the_bytes_depend_on_the_graph_alone(tmp_path: Path) -> None:
    graph = quantized_cnn()
    for form in ("qdq", "qoperator"):
        data = onnx_bytes(graph, form=form)
        assert data == onnx_bytes(graph, form=form), form
        write_onnx(tmp_path / "m.onnx", graph, form=form)
        assert (tmp_path / "m.onnx").read_bytes() == data, form


def test_large_constants_go_beside_the_model(tmp_path: Path) -> None:
    graph = _wide()
    names = write_onnx(tmp_path / "m.onnx", graph, largest=10_000)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(names), "nothing is left behind"
    assert (tmp_path / names[1]).stat().st_size == 3 * 64 * 64 * 4, "a page each"
    x = np.ones((2, 64), np.float32)
    (got,) = onnxruntime.InferenceSession(str(tmp_path / "m.onnx")).run(["y"], {"x": x})
    assert np.array_equal(got, run(graph, {"x": x})["y"]), "small integers are exact"
    back = import_onnx(tmp_path / "m.onnx")
    assert np.array_equal(back.constants["a"], graph.constants["a"]), "our reader finds it, too"
    again = write_onnx(tmp_path / "m.onnx", graph, largest=10_000)
    assert again == names, "named by its content"


@pytest.mark.parametrize("largest", [1 << 30, 0])
def test_a_failure_of_the_check_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"old")

    def fail(model: object) -> None:
        raise onnx.checker.ValidationError("no")

    monkeypatch.setattr(onnx.checker, "check_model", fail)
    with pytest.raises(onnx.checker.ValidationError):
        write_onnx(tmp_path / "m.onnx", _wide(), largest=largest)
    assert (tmp_path / "m.onnx").read_bytes() == b"old", "as it was"
    rest = [p.name for p in tmp_path.iterdir() if p.name != "m.onnx"]
    assert all(name.endswith(".data") for name in rest), f"{rest}: data, named by its digest"


@pytest.mark.parametrize("largest", [1 << 30, 0])
def test_a_full_disk_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, largest: int
) -> None:
    (tmp_path / "m.onnx").write_bytes(b"old")

    def full(file: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_onnx(tmp_path / "m.onnx", _wide(), largest=largest)
    assert [p.read_bytes() for p in tmp_path.iterdir()] == [b"old"], "and nothing beside it"


def test_the_card_travels() -> None:
    b = Builder("g")
    w = b.constant("w", np.eye(4, dtype=np.float32))
    graph = b.graph([b.node("MatMul", [b.input("x", ("N", 4)), w], name="y")])
    graph = quantize(graph, recipe("w8_weight_only"))
    model = onnx.load_from_string(onnx_bytes(graph))
    told = {entry.key: entry.value for entry in model.metadata_props}
    assert json.loads(told["refquant.meta"]) == graph.meta, "the numerics card is in meta"
    contracts = {name: c.to_json() for name, c in graph.contracts.items()}
    assert json.loads(told["refquant.contracts"]) == contracts, "all axes"
    assert told["refquant.form"] == "qdq", f"{told}"
    assert model.producer_name == "refquant", "who"


def test_without_the_library_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'refquant\[onnx\]'"):
        onnx_bytes(quantized_cnn())
