"""What a `.gguf` file says, for people and for scripts."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.inspect_gguf import is_gguf
from refquant.formats.ggml.types import GGML_TYPES
from refquant.formats.gguf import GgufTensor, plain_tensor, write_gguf

Refquant = Callable[..., Any]

METADATA: dict[str, Any] = {
    "general.architecture": "llama",
    "llama.block_count": np.uint32(1),
    "llama.rope.freq_base": np.float32(0.1),
    "answer.nan": np.float32(np.nan),
    "flag": True,
    "tokens": tuple("abcdefgh"),
    "scores": np.array([0.5, np.inf, -1], np.float32),
    "empty": (),
    "chat_template": "x" * 1000,
}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "m.gguf"
    zeros = np.zeros(4 * 2 * 34, np.uint8)
    tensors = [
        GgufTensor("blk.0.w", (4, 64), GGML_TYPES["Q8_0"], zeros),
        plain_tensor("norm", np.zeros(64, np.float32)),
    ]
    write_gguf(path, METADATA, tensors)
    return path


def test_json_holds_metadata_tensors_and_totals(refquant: Refquant, model: Path) -> None:
    done = refquant("inspect", model, "--json")
    assert done.code == 0, done.err
    result = json.loads(done.out)
    content = model.read_bytes()
    assert result["model"] == str(model), result["model"]
    assert result["bytes"] == len(content), f"{result['bytes']}"
    assert result["sha256"] == hashlib.sha256(content).hexdigest(), "another file"
    head = [result[key] for key in ("format", "version", "byte_order", "alignment", "architecture")]
    assert head == ["gguf", 3, "little", 32, "llama"], f"{head}"
    assert result["tensors"] == [
        {"name": "blk.0.w", "type": "Q8_0", "shape": [4, 64], "bytes": 272, "bits_per_weight": 8.5},
        {"name": "norm", "type": "F32", "shape": [64], "bytes": 256, "bits_per_weight": 32.0},
    ], f"{result['tensors']}"
    assert result["types"] == {
        "F32": {"tensor_count": 1, "weights": 64, "tensor_bytes": 256, "bits_per_weight": 32.0},
        "Q8_0": {"tensor_count": 1, "weights": 256, "tensor_bytes": 272, "bits_per_weight": 8.5},
    }, f"{result['types']}"
    total = (result["tensor_count"], result["weights"], result["tensor_bytes"])
    assert total == (2, 320, 528), f"{total}"
    assert result["bits_per_weight"] == 8 * 528 / 320, f"{result['bits_per_weight']}"


def test_json_values_have_types_and_long_arrays_are_cut(refquant: Refquant, model: Path) -> None:
    metadata = json.loads(refquant("inspect", model, "--json").out)["metadata"]
    assert list(metadata) == list(METADATA), f"{list(metadata)}"
    assert metadata["llama.block_count"] == {"type": "uint32", "value": 1}, "a number"
    assert metadata["llama.rope.freq_base"]["value"] == float(np.float32(0.1)), "every digit"
    assert metadata["answer.nan"] == {"type": "float32", "value": None}, "JSON has no NaN"
    assert metadata["flag"] == {"type": "bool", "value": True}, "a truth value"
    assert metadata["tokens"] == {
        "type": "array", "item_type": "string", "length": 8, "first": ["a", "b", "c", "d"],
    }, f"{metadata['tokens']}"  # fmt: skip
    assert metadata["scores"]["first"] == [0.5, None, -1.0], f"{metadata['scores']}"
    assert (metadata["empty"]["length"], metadata["empty"]["first"]) == (0, []), "empty"
    assert len(metadata["chat_template"]["value"]) == 1000, "a text is whole"


def test_the_text_shows_the_same(refquant: Refquant, model: Path) -> None:
    done = refquant("inspect", model)
    assert done.code == 0, done.err
    for phrase in (
        *("llama,", "GGUF version 3, little-endian, alignment 32", "string[8]", "a, b, c, d, ..."),
        *("llama.block_count", "uint32", "0.5, not finite", "blk.0.w", "[4, 64]", "8.5000", "Q8_0"),
        *("all ", "13.2000", "320", "x..."),
    ):
        assert phrase in done.out, f"{phrase!r} is not in:\n{done.out}"
    assert "x" * 61 not in done.out, "a long text is cut"


def test_a_file_without_anything_is_shown(refquant: Refquant, tmp_path: Path) -> None:
    write_gguf(tmp_path / "m.gguf", {}, [])
    done = refquant("inspect", tmp_path / "m.gguf")
    assert done.code == 0, done.err
    assert "no architecture" in done.out, done.out
    result = json.loads(refquant("inspect", tmp_path / "m.gguf", "--json").out)
    assert (result["architecture"], result["bits_per_weight"]) == (None, None), f"{result}"


def test_the_content_says_what_it_is_not_the_name(
    refquant: Refquant, model: Path, tmp_path: Path
) -> None:
    other = tmp_path / "model.bin"
    other.write_bytes(model.read_bytes())
    assert is_gguf(other), "the magic is there"
    assert refquant("inspect", other).code == 0, "read by its content"


def test_names_of_a_hostile_file_do_not_reach_the_terminal(
    refquant: Refquant, tmp_path: Path
) -> None:
    evil = "\x1b]0;owned\x07[bold]"
    tensor = plain_tensor(evil, np.zeros(1, np.float32))
    metadata: dict[str, Any] = {"general.architecture": evil, evil: evil, "a": (evil,)}
    write_gguf(tmp_path / "m.gguf", metadata, [tensor])
    done = refquant("inspect", tmp_path / "m.gguf")
    assert done.code == 0, done.err
    assert "\x1b" not in done.out, "an escape sequence came through"
    assert "\x07" not in done.out, "a bell came through"
    assert "[bold]" in done.out, "markup was obeyed"


@pytest.mark.parametrize("content", [None, b"", b"GG", b"PK\x03\x04", b"GGUF" + b"\xff" * 100])
def test_what_is_no_gguf_file_is_one_sentence(
    content: bytes | None, refquant: Refquant, tmp_path: Path
) -> None:
    path = tmp_path / "x.gguf"
    if content is None:
        path.mkdir()
    else:
        path.write_bytes(content)
    for options in ((), ("--json",)):
        done = refquant("inspect", path, *options)
        assert done.code == 1, f"exit code {done.code}"
        assert done.err.startswith(f"refquant inspect: {path}: "), done.err
        assert done.err.count("\n") == 1, done.err
