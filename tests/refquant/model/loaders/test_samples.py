"""Pieces of a text lie evenly over it and never overlap; sound is what the file's integers say."""

import struct
import wave
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.model.build import Builder
from refquant.model.graph import Graph
from refquant.model.loaders.minilm import features, minilm_graph
from refquant.model.loaders.samples import read_wav, text_windows, token_inputs
from refquant.model.loaders.tensors import Tensors
from tests.refquant.model.loaders.tiny import minilm_arrays


def write_wav(
    path: Path, data: bytes, *, rate: int = 16000, channels: int = 1, width: int = 2
) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setframerate(rate)
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.writeframes(data)
    return path


@given(st.integers(1, 60), st.integers(1, 9), st.data())
def test_pieces_are_of_the_text_whole_in_order_and_apart(
    length: int, context: int, data: st.DataObject
) -> None:
    whole = length // context
    if whole == 0:
        return
    samples = data.draw(st.integers(1, whole))
    got = text_windows(range(length), context=context, samples=samples)
    assert got.shape == (samples, context), f"{got.shape}"
    starts = got[:, 0]
    assert (got == starts[:, None] + np.arange(context)).all(), "each piece is a piece of the text"
    assert (np.diff(starts) >= context).all(), "none twice"
    left = whole - int(starts[-1]) // context
    assert left * samples < whole + samples, f"the end is not shown: {starts.tolist()} of {whole}"
    gaps = np.diff(starts // context)
    assert gaps.size == 0 or gaps.max() - gaps.min() <= 1, f"not even: {starts.tolist()}"


def test_all_pieces_are_what_as_many_samples_give() -> None:
    everything = text_windows(range(23), context=5, samples=None)
    assert everything.tolist() == text_windows(range(23), context=5, samples=4).tolist(), "4 of 4"
    assert everything[-1].tolist() == [15, 16, 17, 18, 19], "the rest, 20 to 22, is left out"


@pytest.mark.parametrize(
    ("context", "samples", "why"),
    [
        (11, None, "10 tokens: 0 whole pieces of 11, and 1 are wanted"),
        (5, 3, "10 tokens: 2 whole pieces of 5, and 3 are wanted"),
        (0, 1, "at least 1, got 0 and 1"),
        (1, 0, "at least 1, got 1 and 0"),
    ],
)
def test_what_the_text_cannot_give_is_refused(context: int, samples: int | None, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        text_windows(range(10), context=context, samples=samples)


def test_inputs_of_full_pieces_are_those_of_sentences_of_one_length() -> None:
    ids = np.array([[3, 1, 4], [1, 5, 9]], np.int32)
    got = token_inputs(minilm_graph(Tensors("m", minilm_arrays()), heads=2), ids)
    known = features(ids.tolist())
    assert got.keys() == known.keys(), f"{list(got)}"
    for name, array in known.items():
        assert got[name].dtype == np.int32, f"{name} is {got[name].dtype}"
        assert got[name].tolist() == array.tolist(), f"{name}: {got[name].tolist()}"


def graph(*names: str) -> Graph:
    b = Builder("g")
    x = [b.input(name, ("N", "T"), dtype="int32") for name in names]
    return b.graph([b.node("Cast", [x[0]], attributes={"to": 1}, name="y")])


def test_a_graph_without_tokens_or_with_two_kinds_is_refused() -> None:
    for names in (["x"], ["tokens", "letters"]):
        with pytest.raises(ValueError, match=r"the model's inputs are \["):
            token_inputs(graph(*names), np.zeros((1, 2), np.int32))
    with pytest.raises(ValueError, match=r"must be \(samples, tokens\), not empty, got \[0, 2\]"):
        token_inputs(graph("tokens"), np.zeros((0, 2), np.int32))


def test_sound_is_the_integers_divided_by_32768(tmp_path: Path) -> None:
    path = write_wav(tmp_path / "a.wav", struct.pack("<4h", -32768, -1, 0, 32767))
    got = read_wav(path)
    assert got.dtype == np.float32, f"{got.dtype}"
    assert got.tolist() == [-1.0, -(2.0**-15), 0.0, 1 - 2.0**-15], f"{got.tolist()}"


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        ({"rate": 44100}, "16,000 Hz, one channel, 16 bits, got 44,100 Hz, 1 and 16"),
        ({"channels": 2}, "got 16,000 Hz, 2 and 16"),
        ({"width": 1}, "got 16,000 Hz, 1 and 8"),
    ],
)
def test_other_sound_is_refused(tmp_path: Path, kind: dict[str, int], why: str) -> None:
    path = write_wav(tmp_path / "a.wav", bytes(8), **kind)
    with pytest.raises(ValueError, match=rf"a\.wav: must be .*{why}"):
        read_wav(path)


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    good = write_wav(tmp_path / "a.wav", bytes(64)).read_bytes()
    files = {
        "empty": (b"", "is no WAV file"),
        "text": (b"hello there, this is a text", "is no WAV file"),
        "header": (good[:30], "is no WAV file"),
        "cut": (good[:-10], "must hold sound, and says 32 samples but has 27"),
        "silent": (
            write_wav(tmp_path / "b.wav", b"").read_bytes(),
            "must hold sound, and says 0",
        ),
        "float": (good[:20] + b"\3\0" + good[22:], "is no WAV file: unknown format: 3"),
    }
    for name, (data, why) in files.items():
        (tmp_path / name).write_bytes(data)
        with pytest.raises(ValueError, match=f"{name}: {why}"):
            read_wav(tmp_path / name)
    with pytest.raises(ValueError, match="is a directory"):
        read_wav(tmp_path)
