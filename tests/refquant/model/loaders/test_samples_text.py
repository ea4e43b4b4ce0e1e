"""Pieces are framed as the tokenizer frames a text; another model's tokens are refused."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from refquant.model.loaders.minilm import minilm_graph
from refquant.model.loaders.samples_text import (
    Framed,
    check_rows,
    encoded,
    open_tokenizer,
    read_text,
    text_samples,
)
from refquant.model.loaders.smollm2_gguf import llama_graph
from refquant.model.loaders.sources import Source, find_source
from refquant.model.loaders.tensors import ModelFileError, Tensors
from refquant.model.loaders.whisper_ct2 import whisper_graphs
from tests.refquant.model.loaders import on_disk, tiny

BERT = minilm_graph(Tensors("m", tiny.minilm_arrays()), heads=2)
LLAMA = llama_graph(tiny.llama_file(), path="m", positions=None)


class Tokenizer:
    """A letter is a token, its place in the alphabet; 0 stands before a text and 9 behind it."""

    def __init__(self, before: int, after: int) -> None:
        self.before, self.after = before, after

    def encode(self, text: str) -> Any:
        ids = [0] * self.before + ["?abcdefgh".index(c) for c in text] + [9] * self.after
        mask = [1] * self.before + [0] * len(text) + [1] * self.after
        return SimpleNamespace(ids=ids, special_tokens_mask=mask)


@pytest.mark.parametrize(("before", "after"), [(0, 0), (1, 1), (2, 0), (0, 1)])
def test_the_frame_is_what_stands_around_the_text(before: int, after: int) -> None:
    got = encoded(Tokenizer(before, after), "abcabcab")
    assert got == Framed((1, 2, 3, 1, 2, 3, 1, 2), (0,) * before, (9,) * after), f"{got}"
    pieces = got.windows(context=4, samples=None)
    assert pieces.shape[1] == 4, "the frame is counted"
    assert (pieces[:, :before] == 0).all(), f"{pieces.tolist()}"
    assert (pieces[:, 4 - after :] == 9).all(), f"{pieces.tolist()}"
    inner = pieces[:, before : 4 - after].reshape(-1)
    assert inner.tolist() == list(got.ids[: inner.size]), "nothing is lost between two pieces"


def test_a_frame_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match=r"must be more than the 2 tokens that .* got 2"):
        Framed((1, 2, 3), (0,), (9,)).windows(context=2, samples=None)


def test_no_text_has_no_pieces() -> None:
    assert encoded(Tokenizer(1, 1), "") == Framed((), (0, 9), ()), "a frame, and nothing in it"
    with pytest.raises(ValueError, match="the text has 0 tokens"):
        encoded(Tokenizer(0, 0), "").windows(context=4, samples=None)


def test_samples_are_inputs_of_the_graph() -> None:
    text = encoded(Tokenizer(1, 1), "abcdefgh")
    got = text_samples(BERT, text, context=4, samples=2)
    assert got.keys() == set(BERT.inputs), f"{list(got)}"
    assert got["input_ids"].tolist() == [[0, 1, 2, 9], [0, 5, 6, 9]], f"{got['input_ids']}"


@pytest.mark.parametrize(
    ("graph", "ids", "context", "said"),
    [
        (BERT, (1, 11, 2, 3), 2, "input_ids goes up to 11, but .*word.* has 11 rows; .*tokenizer"),
        (BERT, tuple(range(10)), 10, "position_ids goes up to 9, but .* 9 rows; give a shorter"),
        (LLAMA, (1, 2) * 6, 11, "position_ids goes up to 10, but 'rope/cos' has 10 rows"),
        (
            whisper_graphs(Tensors("m", tiny.whisper_arrays()))[1],
            (1, 2), 2, "the model also reads 'audio'; text has none",
        ),
    ],
)  # fmt: skip
def test_what_the_model_cannot_look_up_is_refused(
    graph: Any, ids: tuple[int, ...], context: int, said: str
) -> None:
    with pytest.raises(ValueError, match=said):
        text_samples(graph, Framed(ids), context=context, samples=None)
    whole = np.zeros((1, 2), np.int32)
    check_rows(BERT, {"input_ids": whole + 10, "position_ids": whole + 8})


def test_the_tokenizer_is_the_one_named_or_beside_or_within(tmp_path: Path) -> None:
    library = pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    model = library.models.WordLevel({"a": 0, "b": 1, "?": 2}, unk_token="?")
    tokenizer = library.Tokenizer(model)
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    source = find_source(on_disk.minilm(tmp_path / "m"))
    with pytest.raises(ModelFileError, match=r"no tokenizer\.json beside it; name the tokenizer"):
        open_tokenizer(source)
    tokenizer.save(str(tmp_path / "m/tokenizer.json"))
    for given in (None, tmp_path / "m/tokenizer.json", tmp_path / "m"):
        assert open_tokenizer(source, given).encode("b a x").ids == [1, 0, 2], f"{given}"
    gguf = find_source(on_disk.llama(tmp_path / "m/m.gguf"))
    for chosen, given in ((gguf, None), (source, gguf.file)):
        with pytest.raises(ModelFileError, match=r"m\.gguf: tokenizer\.ggml\.model .* got None"):
            open_tokenizer(chosen, given)
    (tmp_path / "bad.gguf").write_bytes(b"GGUF")
    with pytest.raises(ModelFileError, match=r"bad\.gguf"):
        open_tokenizer(source, tmp_path / "bad.gguf")


def test_without_the_library_the_extra_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    (tmp_path / "tokenizer.json").write_text(json.dumps({}))
    with pytest.raises(ModelFileError, match=r"pip install 'refquant\[text\]'"):
        open_tokenizer(Source("m", tmp_path / "m.rq", "rq"))


def test_a_text_is_utf_8(tmp_path: Path) -> None:
    path = tmp_path / "t.txt"
    for data, text in ((b"\xef\xbb\xbfa", "a"), ("é\n".encode(), "é\n")):
        path.write_bytes(data)
        assert read_text(path) == text, f"{data!r}"
    for data, said in ((b"\xff\xfe", "is no UTF-8 text"), (b" \n", "holds no text"), (b"", "no t")):
        path.write_bytes(data)
        with pytest.raises(ValueError, match=rf"t\.txt: .*{said}"):
            read_text(path)
    with pytest.raises(ValueError, match="is a directory; give a text file"):
        read_text(tmp_path)
