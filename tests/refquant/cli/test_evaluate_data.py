"""What two models are compared on: each kind of data, as inputs in reals."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.evaluate_data import batches, data_option, has_labels
from refquant.cli.evaluate_models import open_evaluated
from refquant.contracts import preset
from refquant.model.build import Builder
from refquant.model.graph import Quant
from refquant.model.loaders.g2p_gru import LETTERS, PHONEMES
from refquant.model.rq import write_rq
from tests.refquant.cli.evaluated import language_model, recordings, speech
from tests.refquant.evaluation.two_models import chain
from tests.refquant.model.loaders import on_disk


def asked(**given: Any) -> argparse.Namespace:
    names = ("data", "text", "audio", "words", "part", "encoder", "decoder")
    nothing = dict.fromkeys((*names, "samples", "context", "tokenizer"))
    return argparse.Namespace(**nothing | given)


def made(path: Path, **given: Any) -> Any:
    options = asked(**{k: v if isinstance(v, int) else str(v) for k, v in given.items()})
    return batches(open_evaluated(str(path), options), options)


def test_one_option_is_given() -> None:
    for name in ("data", "text", "audio", "words"):
        assert data_option(asked(**{name: "x"})) == name


def test_arrays_are_taken_as_they_are(tmp_path: Path) -> None:
    write_rq(tmp_path / "m.rq", chain(1))
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.savez(tmp_path / "d.npz", x=x, other=np.zeros(3))
    got = made(tmp_path / "m.rq", data=tmp_path / "d.npz")
    assert (got.count, got.context, got.inputs[0]["x"].tolist()) == (4, None, x.tolist())
    few = made(tmp_path / "m.rq", data=tmp_path / "d.npz", samples=2)
    assert few.inputs[0]["x"].tolist() == x[:2].tolist(), "the first two"
    with pytest.raises(ValueError, match="holds 4 samples, and --samples says 5"):
        made(tmp_path / "m.rq", data=tmp_path / "d.npz", samples=5)
    np.savez(tmp_path / "wide.npz", x=np.zeros((4, 3), np.float32))
    with pytest.raises(ValueError, match=r"wide.npz: array 'x' must have shape \[N, 2\]"):
        made(tmp_path / "m.rq", data=tmp_path / "wide.npz")


def test_codes_stay_reals_until_a_graph_takes_them(tmp_path: Path) -> None:
    b = Builder("codes")
    x = b.input("x", ("N", 2), dtype="int8", quant=Quant(0.5, 0))
    write_rq(tmp_path / "m.rq", b.graph([b.node("DequantizeLinear", [x], contract=preset("ort"))]))
    np.savez(tmp_path / "d.npz", x=np.array([[0.5, 1.0]], np.float32))
    got = made(tmp_path / "m.rq", data=tmp_path / "d.npz").inputs[0]["x"]
    assert (got.dtype, got.tolist()) == (np.float32, [[0.5, 1.0]]), f"{got}"


def test_a_text_becomes_pieces(tmp_path: Path) -> None:
    model = language_model(tmp_path / "m.rq")
    (tmp_path / "t.txt").write_text("he was not he he was was")
    got = made(model, text=tmp_path / "t.txt", context=2)
    assert (got.count, got.context) == (3, 2), f"{got}"
    assert got.inputs[0]["input_ids"].tolist() == [[2, 3], [4, 2], [2, 3]], f"{got}"
    with pytest.raises(ValueError, match=r"t\.txt: the text has 7 tokens: 0 whole pieces of 128"):
        made(model, text=tmp_path / "t.txt")


def test_recordings_are_for_either_half(tmp_path: Path) -> None:
    encoder, decoder = speech(tmp_path / "speech")
    sound = recordings(tmp_path / "sound", "he", "was not")
    heard = made(encoder, audio=sound)
    assert [one["mel"].shape for one in heard.inputs] == [(1, 80, 3000)] * 2, f"{heard.count}"
    with pytest.raises(ValueError, match="none: is no folder"):
        made(encoder, audio=tmp_path / "none")
    given: dict[str, Any] = {"audio": sound, "encoder": encoder}
    said = made(decoder, **given)
    assert [one["tokens"].tolist() for one in said.inputs] == [[[0, 2]], [[0, 3, 4]]], "no ends"
    assert {one["audio"].shape for one in said.inputs} == {(1, 80, 2)}, "what was heard"
    assert made(decoder, **given, samples=1).count == 1, "one of them"


def test_words_are_for_either_half(tmp_path: Path) -> None:
    model = on_disk.g2p(tmp_path / "g.npz")
    (tmp_path / "words").write_text("READ  R EH1 D\nLEAD  L EH1 D\nA  AH0\n")
    for part, name in (("encoder", "letters"), ("decoder", "phonemes")):
        got = made(model, words=tmp_path / "words", part=part)
        shapes = sorted(one[name].shape for one in got.inputs)
        wanted = [(1, 2), (2, 5)] if part == "encoder" else [(1, 2), (2, 4)]
        assert (got.count, shapes) == (3, wanted), f"{part}: {shapes}"
    assert {one["state"].shape[1:] for one in got.inputs} == {(1, 6)}, "of the encoder"
    first = next(one for one in got.inputs if len(one["phonemes"]) == 1)["phonemes"][0]
    assert [PHONEMES[i] for i in first] == ["<s>", "AH0"], "what it reads while it is right"
    letters = next(
        one["letters"]
        for one in made(model, words=tmp_path / "words", part="encoder").inputs
        if len(one["letters"]) == 1
    )
    assert [LETTERS[i] for i in letters[0]] == ["a", "</s>"], "as it is always asked"
    write_rq(tmp_path / "m.rq", chain(1))
    with pytest.raises(ValueError, match="reads no letters"):
        made(tmp_path / "m.rq", words=tmp_path / "words")


def test_labels_are_looked_for_without_reading(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", labels=np.zeros(2))
    np.savez(tmp_path / "b.npz", x=np.zeros(2))
    (tmp_path / "c.npz").write_bytes(b"PK")
    found = [has_labels(str(tmp_path / f"{name}.npz")) for name in "abcd"]
    assert found == [True, False, False, False], f"{found}"
