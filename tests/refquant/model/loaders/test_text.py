"""Tokens of a GGUF file by the library; the error without it names the extra."""

import sys
from pathlib import Path
from typing import Any

import pytest

from refquant.formats.gguf import GgufFile
from refquant.model.loaders.tensors import ModelFileError
from refquant.model.loaders.text import gguf_tokenizer, read_tokenizer

METADATA: dict[str, Any] = {
    "tokenizer.ggml.model": "gpt2",
    "tokenizer.ggml.pre": "smollm",
    "tokenizer.ggml.tokens": ("<|end|>", "a", "b", "ab", "Ġ", "Ġa", "1", "2", "12"),
    "tokenizer.ggml.merges": ("a b", "Ġ a", "1 2"),
    "tokenizer.ggml.token_type": (3, 1, 1, 1, 1, 1, 1, 1, 1),
}


def file(**changes: Any) -> GgufFile:
    metadata = {**METADATA, **{f"tokenizer.ggml.{k}": v for k, v in changes.items()}}
    return GgufFile(3, "little", 32, {k: v for k, v in metadata.items() if v is not None}, {})


def test_merges_are_followed_and_digits_stay_apart() -> None:
    pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    tokenizer = gguf_tokenizer(file(), path="f")
    assert tokenizer.encode("ab ab").ids == [3, 4, 3], "the first merge goes first"
    assert tokenizer.encode("b a").ids == [2, 5], "the space belongs to what follows"
    assert tokenizer.encode("12").ids == [6, 7], "smollm: one token a digit"
    assert tokenizer.encode("ab<|end|>").ids == [3, 0], "a control token is one token"
    assert tokenizer.decode([3, 5]) == "ab a", "and back"


@pytest.mark.parametrize("key", ["tokens", "merges", "token_type"])
def test_a_missing_list_is_named(key: str) -> None:
    with pytest.raises(ModelFileError, match=f"f: lacks the list tokenizer.ggml.{key}"):
        gguf_tokenizer(file(**{key: None}), path="f")


def test_another_tokenizer_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelFileError, match="must be 'gpt2' and 'smollm', got 'llama'"):
        gguf_tokenizer(file(model="llama"), path="f")
    pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    (tmp_path / "t.json").write_text("{}")
    with pytest.raises(ModelFileError, match=r"t\.json: is no tokenizer"):
        read_tokenizer(tmp_path / "t.json")


def test_without_the_library_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(ModelFileError, match=r"pip install 'refquant\[text\]'"):
        read_tokenizer("any")
