"""A model of another format becomes a .rq file that says where it came from, or a sentence."""

import errno
import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.model.graph import State
from refquant.model.loaders.sources import open_model
from refquant.model.rq import read_rq
from tests.refquant.model.importers.onnx_models import model as onnx_model
from tests.refquant.model.importers.onnx_models import node
from tests.refquant.model.importers.tflite_bytes import Model as TfliteModel
from tests.refquant.model.loaders import on_disk

Refquant = Callable[..., Any]


def test_what_is_written_is_what_the_loader_makes(refquant: Refquant, tmp_path: Path) -> None:
    cases: list[tuple[Path, str | None]] = [
        (on_disk.minilm(tmp_path / "bert"), None),
        (on_disk.llama(tmp_path / "m.gguf"), None),
        (on_disk.whisper(tmp_path / "whisper"), "encoder"),
        (on_disk.whisper(tmp_path / "whisper"), "decoder"),
        (on_disk.g2p(tmp_path / "g.npz"), "decoder"),
    ]
    for path, part in cases:
        out = tmp_path / "out.rq"
        options = ("--part", part) if part else ()
        done = refquant("import", path, *options, "-o", out, "--json")
        assert done.code == 0, done.err
        graph, told = open_model(path, part=part), json.loads(done.out)
        assert read_rq(out) == graph, f"{path} {part}"
        keys = ["source", "part", "output", "bytes", "inputs", "outputs", "nodes", "weights"]
        assert list(told)[:8] == keys, f"{list(told)}"
        assert (told["source"], told["part"]) == (str(path), part), f"{told}"
        assert told["bytes"] == out.stat().st_size, f"{told}"
        assert told["nodes"] == len(graph.nodes), f"{told}"
        assert told["weights"] == sum(a.size for a in graph.constants.values()), f"{told}"
        for kind in ("inputs", "outputs"):
            shapes = {n: list(graph.values[n].shape) for n in getattr(graph, kind)}
            assert {n: v["shape"] for n, v in told[kind].items()} == shapes, f"{kind}: {told}"


def test_the_file_says_where_it_came_from(refquant: Refquant, tmp_path: Path) -> None:
    path = on_disk.whisper(tmp_path / "whisper")
    done = refquant("import", path, "--part", "encoder", "-o", tmp_path / "out.rq")
    assert done.code == 0, done.err
    assert done.out.startswith(f"{tmp_path / 'out.rq'}: "), done.out
    assert done.out.endswith(f"weights of {path}, encoder\n"), done.out
    digest = hashlib.sha256((path / "model.bin").read_bytes()).hexdigest()
    told = {"file": "model.bin", "sha256": digest, "loader": "whisper", "part": "encoder"}
    assert read_rq(tmp_path / "out.rq").meta["imported"] == told, "file, hash, loader, part"


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("w", "-o", "out.rq"), 1, "w: holds the parts 'encoder', 'decoder'; choose one (--part)"),
        (("w", "--part", "head", "-o", "out.rq"), 1, "has no part 'head', but 'encoder', 'deco"),
        (("m.gguf", "--part", "encoder", "-o", "out.rq"), 1, "without a part 'encoder'; leave"),
        (("m.onnx", "-o", "out.rq"), 1, "m.onnx: cannot be read: No such file or directory"),
        (("m.gguf", "--shape", "x=1", "-o", "out.rq"), 1, "only ONNX models take sizes"),
        (("m.onnx", "--shape", "x:1", "-o", "out.rq"), 1, "--shape x:1: is NAME=SIZES, as x=N,3"),
        (("m.gguf", "-o", "m.gguf"), 2, "m.gguf: is what is read; give another path"),
        (("w", "--part", "encoder", "-o", "w/model.bin"), 2, "w/model.bin: is what is read"),
        (("m.gguf", "-o", "none/out.rq"), 1, "there is no folder none; make it first"),
        (("m.gguf", "-o", "w"), 1, "w: is a folder; give the path of a file"),
        (("m.gguf",), 2, "the following arguments are required: -o/--output"),
        (("float.rq", "-o", "out.rq"), 1, "is a .rq file already; use it as it is"),
        (("none", "-o", "out.rq"), 1, "none: no such file or folder; give the path of a model"),
    ],
)
def test_what_cannot_be_imported_is_a_sentence(
    arguments: tuple[str, ...], code: int, said: str,
    refquant: Refquant, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    on_disk.whisper(tmp_path / "w")
    before = on_disk.llama(tmp_path / "m.gguf").read_bytes()
    done = refquant("import", *arguments)
    assert (done.code, done.out) == (code, ""), f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err
    assert (tmp_path / "m.gguf").read_bytes() == before, "the source is as it was"
    assert not (tmp_path / "out.rq").exists(), "nothing is written"


def test_a_full_disk_leaves_nothing(
    refquant: Refquant, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(fd: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    path = on_disk.llama(tmp_path / "m.gguf")
    done = refquant("import", path, "-o", tmp_path / "out.rq")
    assert (done.code, done.out) == (1, ""), f"exit code {done.code}"
    assert "no space left on device" in done.err, done.err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["m.gguf"], "no half a file"


def test_sizes_of_an_onnx_model(refquant: Refquant, tmp_path: Path) -> None:
    made = onnx_model([node("Relu", ["x"], ["y"])], {"x": ["batch", 3, "h", "w"]}, ["y"])
    (tmp_path / "m.onnx").write_bytes(made.SerializeToString())
    done = refquant("import", tmp_path / "m.onnx", "-o", tmp_path / "out.rq")
    assert "sizes without a number" in done.err, done.err
    given = ("--shape", "x=N,3,4,5", "-o", tmp_path / "out.rq")
    done = refquant("import", tmp_path / "m.onnx", *given)
    assert done.code == 0, done.err
    assert read_rq(tmp_path / "out.rq").values["y"].shape == ("N", 3, 4, 5), "as given"


def test_weights_that_are_codes_are_counted(refquant: Refquant, tmp_path: Path) -> None:
    m = TfliteModel()
    x = m.tensor((1, 6), scale=0.05, zero_point=3, name="x")
    w = m.tensor((5, 6), values=range(30), scale=0.003)
    bias = m.tensor((5,), "int32", values=range(5), scale=0.00015)
    h = m.tensor((1, 5), scale=0.04, name="h")
    m.op("FULLY_CONNECTED", [x, w, bias], [h])
    y = m.tensor((1, 5), scale=1 / 256, zero_point=-128, name="y")
    m.op("LOGISTIC", [h], [y])
    path = tmp_path / "m.tflite"
    path.write_bytes(m.data([x], [y]))
    done = refquant("import", path, "-o", tmp_path / "m.rq", "--json")
    assert done.code == 0, done.err
    assert json.loads(done.out)["weights"] == 35, f"5 x 6 and 5 biases, no scale, no table: {done}"


def test_states_of_an_onnx_model(refquant: Refquant, tmp_path: Path) -> None:
    nodes = [node("Add", ["x", "h"], ["sum"]), node("Mul", ["sum", "by"], ["hn"])]
    nodes.append(node("Relu", ["hn"], ["y"]))
    sizes: dict[str, Any] = {"x": ["N", 2], "h": ["N", 2], "by": [2]}
    path, out = tmp_path / "m.onnx", tmp_path / "m.rq"
    path.write_bytes(onnx_model(nodes, sizes, ["y", "hn"]).SerializeToString())
    options = ("--fix", "by=2.0", "--state", "h=hn", "-o", out)
    assert refquant("import", path, *options).out.endswith("m.onnx; states h\n"), "it says so"
    done = json.loads(refquant("import", path, *options, "--json").out)
    assert done["states"] == {"h": "h"}, f"{done}"
    graph = read_rq(out)
    assert graph.states == (State("h", "h", "hn"),), "as named"
    assert graph.constants["by"].tolist() == [2.0, 2.0], "fixed, in the sizes it has"
    for wrong, said in {
        ("--state", "h"): "--state h: is IN=OUT, as h=hn",
        ("--state", "g=hn"): "states bind inputs, which are ['x', 'h'], got 'g'",
        ("--state", "h=hn", "--state", "h=y"): "an input has one state",
        ("--fix", "h"): "--fix h: is NAME=NUMBER, as sr=16000",
        ("--streaming",): "no LSTM or GRU begins anew",
    }.items():
        failed = refquant("import", path, "--fix", "by=2.0", *wrong, "-o", out)
        assert failed.code == 1, f"{wrong}"
        assert said in failed.err, failed.err
