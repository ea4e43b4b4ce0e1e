"""What a file says, for people and for scripts."""

import hashlib
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.rq import write_rq

Refquant = Callable[..., Any]


@pytest.fixture
def quantized(refquant: Refquant, model: Path, data: Path, tmp_path: Path) -> Path:
    path = tmp_path / "q.rq"
    options = ("--recipe", "w8a8_full_integer", "--calibration", data, "-o", path)
    assert refquant("quantize", model, *options).code == 0, "no file to look at"
    return path


def test_json_holds_the_graph_the_sizes_and_the_contracts(
    refquant: Refquant, quantized: Path
) -> None:
    done = refquant("inspect", quantized, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    content = quantized.read_bytes()
    assert result["model"] == str(quantized), f"{result['model']}"
    assert result["bytes"] == len(content), f"{result['bytes']}"
    assert result["sha256"] == hashlib.sha256(content).hexdigest(), "another file"
    assert result["contracts"] == {"ort": preset("ort").to_json()}, "not all axes"
    assert result["inputs"] == ["x"], f"{result['inputs']}"
    assert {"w1", "w2"} < {name.rstrip("_") for name in result["constants"]}, result["constants"]
    assert result["values"]["x"]["quant"]["zero_point"] >= -128, "no parameters"
    assert [node["op"] for node in result["nodes"]] == ["MatMul", "MatMul"], result["nodes"]
    assert result["constant_bytes"]["int8"] == 4 * 8 + 8 * 3, f"{result['constant_bytes']}"
    assert result["meta"]["recipe"]["name"] == "w8a8_full_integer", f"{result['meta']}"


def test_the_text_names_nodes_parameters_contracts_and_axes(
    refquant: Refquant, quantized: Path
) -> None:
    done = refquant("inspect", quantized)
    assert done.code == 0, done.err
    for phrase in (
        *("input  x: int8[N,4], scale", "output y: int8[N,3], scale", "i8 i8*8", "i8[N,8]"),
        *("first", "MatMul", "ort", "half_even", "float_rne", "meta {", '"calibration"'),
    ):
        assert phrase in done.out, f"{phrase!r} is not in:\n{done.out}"


def test_a_float_model_has_no_contracts(refquant: Refquant, model: Path) -> None:
    done = refquant("inspect", model)
    assert done.code == 0, done.err
    assert "f32[N,3]" in done.out, done.out
    assert "axis" not in done.out, f"a table of no contracts: {done.out}"


def test_names_of_a_hostile_file_do_not_reach_the_terminal(
    refquant: Refquant, tmp_path: Path
) -> None:
    evil = "\x1b]0;owned\x07[bold]"
    b = Builder(evil)
    x = b.input(evil, ("N", 2), dtype="int8", quant=Quant(0.5, 0))
    write_rq(tmp_path / "evil.rq", b.graph([b.node("Flatten", [x], name="y\x1b[2J")]))
    done = refquant("inspect", tmp_path / "evil.rq")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out, "an escape sequence came through"
    assert "\x07" not in done.out, "a bell came through"
    assert "[bold]" in done.out, "markup was obeyed"


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04", b"\xff" * 100])
def test_what_is_no_model_is_one_sentence(
    content: bytes | None, refquant: Refquant, tmp_path: Path
) -> None:
    path = tmp_path / "x.rq"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    done = refquant("inspect", path)
    assert done.code == 1, f"exit code {done.code}"
    assert done.err.startswith(f"refquant inspect: {path}: "), done.err
    assert done.err.count("\n") == 1, done.err


def test_json_needs_no_rich(
    refquant: Refquant, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    assert refquant("inspect", model, "--json").code == 0, "JSON needs no tables"
    done = refquant("inspect", model)
    assert done.code == 1, f"exit code {done.code}"
    assert "pip install '.[cli]'" in done.err, done.err
