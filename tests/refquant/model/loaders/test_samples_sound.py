"""Recordings become what Whisper reads; what nobody wrote down is said."""

import wave
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from refquant.model.build import Builder
from refquant.model.execute import run
from refquant.model.graph import Graph
from refquant.model.loaders.log_mel import log_mel
from refquant.model.loaders.samples import read_wav
from refquant.model.loaders.samples_sound import (
    decoder_samples,
    encoder_samples,
    find_recordings,
    transcripts,
)


def recording(path: Path, *, seconds: float = 0.1, seed: int = 0) -> Path:
    rng = np.random.default_rng(seed)
    with wave.open(str(path), "wb") as file:
        file.setframerate(16000)
        file.setnchannels(1)
        file.setsampwidth(2)
        file.writeframes(rng.integers(-9999, 9999, int(16000 * seconds), np.int16).tobytes())
    return path


def encoder(bands: int = 80) -> Graph:
    """Two channels of every 1,500th step."""
    b = Builder("encoder")
    mel = b.input("mel", ("N", bands, 3000))
    window: dict[str, Any] = {"starts": [0], "ends": [2], "axes": [1]}
    return b.graph([b.node("Slice", [mel], attributes=window, name="audio")])


def decoder(rows: int = 20, positions: int = 30) -> Graph:
    b = Builder("decoder")
    audio = b.input("audio", ("N", 2, 3000))
    ids = [b.input(name, ("N", "T"), dtype="int32") for name in ("tokens", "position_ids")]
    tables = [
        b.constant(name, np.zeros((size, 4), np.float32))
        for name, size in (("words", rows), ("places", positions))
    ]
    x, y = (b.node("Gather", [table, i]) for table, i in zip(tables, ids, strict=True))
    return b.graph([b.node("Add", [x, y], name="y"), b.node("Relu", [audio], name="z")])


class Tokenizer:
    """A letter is a token, 11 and 12 begin a text, 13 ends it."""

    def __init__(self, before: tuple[int, ...] = (11, 12)) -> None:
        self.before = before

    def encode(self, text: str) -> Any:
        ids = [*self.before, *(" abcdefgh".index(c) for c in text), 13]
        mask = [1] * len(self.before) + [0] * len(text) + [1]
        return SimpleNamespace(ids=ids, special_tokens_mask=mask)


def test_recordings_are_found_by_name_and_chosen_evenly(tmp_path: Path) -> None:
    for name in ("c.wav", "a.WAV", "b.wav", "d.wav", "e.wav", "a.txt"):
        (tmp_path / name).touch()
    names = [p.name for p in find_recordings(tmp_path)]
    assert names == ["a.WAV", "b.wav", "c.wav", "d.wav", "e.wav"], f"{names}"
    two = [p.name for p in find_recordings(tmp_path, samples=2)]
    assert two == ["a.WAV", "c.wav"], f"{two}"
    for samples in (0, 6):
        with pytest.raises(ValueError, match=f"holds 5 recordings, got samples = {samples}"):
            find_recordings(tmp_path, samples=samples)


def test_what_is_said_is_beside_it_or_in_one_file(tmp_path: Path) -> None:
    paths = [tmp_path / f"{name}.wav" for name in ("a", "b.1", "c")]
    (tmp_path / "a.txt").write_text(" hello\n there \n")
    (tmp_path / "transcription").write_text(
        "<s> from the file </s> (a)\n<s> of (two) words </s> (b.1)\nplainly (c) \n\nodd line\n"
    )
    assert transcripts(paths) == ("hello there", "of (two) words", "plainly"), "its own goes first"
    with pytest.raises(ValueError, match=r"d\.wav: nothing says what is spoken in it; .* d\.txt"):
        transcripts([tmp_path / "d.wav"])
    (tmp_path / "d.txt").write_text(" ")
    with pytest.raises(ValueError, match=r"d\.txt: holds no text"):
        transcripts([tmp_path / "d.wav"])


def test_the_encoder_hears_each_recording_alone(tmp_path: Path) -> None:
    paths = [recording(tmp_path / f"{i}.wav", seed=i) for i in range(2)]
    got = encoder_samples(encoder(), paths)
    for path, sample in zip(paths, got, strict=True):
        assert list(sample) == ["mel"], f"{list(sample)}"
        assert sample["mel"].tobytes() == log_mel(read_wav(path)).tobytes(), path.name


def test_the_decoder_reads_what_was_heard_and_said_but_not_the_end(tmp_path: Path) -> None:
    paths = [recording(tmp_path / f"{name}.wav", seed=i) for i, name in enumerate("ab")]
    (tmp_path / "a.txt").write_text("ab c")
    (tmp_path / "b.txt").write_text("gh")
    got = decoder_samples(encoder(), decoder(), Tokenizer(), paths)
    tokens = [sample["tokens"].tolist() for sample in got]
    assert tokens == [[[11, 12, 0, 1, 2, 0, 3]], [[11, 12, 0, 7, 8]]], f"{tokens}"
    places = [sample["position_ids"].tolist() for sample in got]
    assert places == [[[0, 1, 2, 3, 4, 5, 6]], [[0, 1, 2, 3, 4]]], f"{places}"
    for path, sample in zip(paths, got, strict=True):
        heard = run(encoder(), {"mel": log_mel(read_wav(path))}, sums="blas")["audio"]
        assert sample["audio"].tobytes() == heard.tobytes(), path.name


@pytest.mark.parametrize(
    ("halves", "tokenizer", "said"),
    [
        ((encoder(), decoder(positions=4)), Tokenizer(), "position_ids goes up to 4"),
        ((encoder(), decoder(rows=12)), Tokenizer(), "tokens goes up to 12, but 'words' has 12"),
        ((encoder(), decoder(rows=51_865)), Tokenizer(), "has 51865 tokens: it speaks several"),
        ((encoder(), decoder()), Tokenizer(()), "the tokenizer begins no text"),
        ((encoder(40), decoder()), Tokenizer(), r"hears mel \[N, 80, 3000\], got .*40, 3000"),
        ((encoder(), encoder()), Tokenizer(), r"inputs are \['mel'\]; it is no decoder"),
        ((decoder(), decoder()), Tokenizer(), r"hears mel \[N, 80, 3000\], got inputs .*tokens"),
    ],
)
def test_halves_that_do_not_fit_are_refused(
    halves: tuple[Graph, Graph], tokenizer: Tokenizer, said: str, tmp_path: Path
) -> None:
    path = recording(tmp_path / "a.wav")
    (tmp_path / "a.txt").write_text("ab")
    with pytest.raises(ValueError, match=said):
        decoder_samples(*halves, tokenizer, [path])


def test_text_longer_than_what_is_heard_is_refused(tmp_path: Path) -> None:
    path = recording(tmp_path / "a.wav", seconds=30.1)
    (tmp_path / "a.txt").write_text("ab")
    with pytest.raises(ValueError, match=r"a\.wav: is longer than 30 s; cut it, and its text"):
        decoder_samples(encoder(), decoder(), Tokenizer(), [path])
    assert encoder_samples(encoder(), [path])[0]["mel"].shape == (1, 80, 3000), "the encoder cuts"
