"""Word errors, surprise and pronunciation from the command line."""

import json
import math
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.refquant.cli.evaluated import NEXT, recordings, result, speech, tokenizer
from tests.refquant.evaluation.next_token import BOUND, surprise
from tests.refquant.model.loaders import on_disk

Refquant = Callable[..., Any]


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    return speech(tmp_path / "speech")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    """The model says "he was not" to both."""
    return recordings(tmp_path / "sound", "He was not!", "he not was not")


def options(pair: tuple[Path, Path], sound: Path) -> tuple[Any, ...]:
    return (pair[1], "--encoder", pair[0], "--audio", sound)


def test_word_errors_are_counted(pair: tuple[Path, Path], sound: Path, refquant: Refquant) -> None:
    found = result(refquant("evaluate", *options(pair, sound), "--json"))
    assert (found["metric"], found["unit"], found["samples"]) == ("wer", "percent", 2), f"{found}"
    assert found["value"] == 100 * (1 / 7), "one of 7 words is missing"
    kinds = [found[k] for k in ("words", "substitutions", "deletions", "insertions")]
    assert kinds == [7, 0, 1, 0], f"{kinds}"
    assert found["recordings_right"] == 1, f"{found}"
    assert [t["heard"] for t in found["transcripts"]] == ["he was not"] * 2, f"{found}"
    assert found["suppressed"] is None, "there is no config.json"
    said = refquant("evaluate", *options(pair, sound)).out
    assert "WER 14.29 % of 2 recordings" in said, said
    assert "0 substituted, 1 deleted, 0 inserted; 1 of 2 recordings right" in said, said
    assert "all tokens allowed" in said, said


def test_one_recording_is_enough_and_a_list_of_texts_too(
    pair: tuple[Path, Path], sound: Path, refquant: Refquant
) -> None:
    found = result(refquant("evaluate", *options(pair, sound), "--samples", 1, "--json"))
    assert (found["samples"], found["value"]) == (1, 0), f"{found}"
    for path in sound.glob("*.txt"):
        path.unlink()
    (sound / "transcription").write_text("<s> he was </s> (0)\n<s> he was not </s> (1)\n")
    found = result(refquant("evaluate", *options(pair, sound), "--json"))
    assert (found["words"], found["insertions"]) == (5, 1), f"{found}"


def test_tokens_that_are_never_said(
    pair: tuple[Path, Path], sound: Path, refquant: Refquant
) -> None:
    config = pair[1].with_name("config.json")
    for never, not_first, wanted in (
        ([], [], "he was not"),
        ([4], [], "he was"),  # an end is the second best after "was"
        ([], [2, 0], ""),  # neither "he" nor <s> may be first, so it is the end
    ):
        rules = {"suppress_ids": never, "suppress_ids_begin": not_first}
        config.write_text(json.dumps(rules))
        found = result(refquant("evaluate", *options(pair, sound), "--json"))
        assert found["suppressed"] == str(config), f"{found}"
        heard = {t["heard"] for t in found["transcripts"]}
        assert heard == {wanted}, f"{rules}: {heard}"
    for text in ("{", "{}", '{"suppress_ids": 4, "suppress_ids_begin": []}'):
        config.write_text(text)
        done = refquant("evaluate", *options(pair, sound))
        assert done.code == 1, f"exit code {done.code}"
        assert "must have lists suppress_ids and suppress_ids_begin" in done.err, done.err


def test_the_surprise_is_of_the_transcripts_and_their_ends(
    pair: tuple[Path, Path], sound: Path, refquant: Refquant
) -> None:
    found = result(refquant("evaluate", *options(pair, sound), "--metric", "nll", "--json"))
    # "He" and "!" are not in the vocabulary: ? for both.
    texts = [[0, 5, 3, 4, 5, 1], [0, 2, 4, 3, 4, 1]]
    each = [surprise(NEXT[a], b) for t in texts for a, b in zip(t, t[1:], strict=False)]  # noqa: RUF007  # pairwise hides the shift
    assert (found["tokens_scored"], found["samples"]) == (10, 2), f"{found}"
    exact = sum(each, Decimal(0)) / 10
    assert abs(Decimal(found["value"]) - exact) <= 2 * BOUND, f"{found['value']}, {exact}"
    said = refquant("evaluate", *options(pair, sound), "--metric", "nll").out
    assert f"nats a token {found['value']:.4f} of 2 recordings" in said, said


def test_several_decoders_share_an_encoder(
    pair: tuple[Path, Path], sound: Path, refquant: Refquant, tmp_path: Path
) -> None:
    deaf = np.zeros((6, 6), np.float32)
    deaf[:, 1] = 10  # always the end
    other = speech(tmp_path / "deaf", deaf)[1]
    common = (
        "--encoder",
        pair[0],
        "--audio",
        sound,
        "--tokenizer",
        pair[0].with_name("tokenizer.json"),
    )
    rows = result(refquant("evaluate", pair[1], other, *common, "--json"))
    assert [row["value"] for row in rows] == [100 * (1 / 7), 100.0], f"{rows}"
    said = refquant("evaluate", pair[1], other, *common).out
    assert said.splitlines()[0].split()[-2:] == ["recordings", "right"], said
    assert "0 of 2" in said, said
    halves = ("--decoder", pair[1], *common[2:])
    assert len(result(refquant("evaluate", pair[0], pair[0], *halves, "--json"))) == 2, "encoders"


@pytest.mark.parametrize(
    ("given", "code", "said"),
    [
        ((), 2, "is the decoder; give the other half by --encoder"),
        (("--encoder", "decoder.rq"), 1, "it is no encoder"),
        (("--encoder", "none.rq"), 1, "none.rq"),
    ],
)
def test_halves_that_do_not_fit(
    given: tuple[str, ...], code: int, said: str, pair: tuple[Path, Path], sound: Path,
    refquant: Refquant, monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    monkeypatch.chdir(pair[0].parent)
    done = refquant("evaluate", "decoder.rq", "--audio", sound, *given)
    assert done.code == code, f"exit code {done.code}: {done.err}"
    assert said in done.err, done.err


def test_folders_that_hold_no_recordings(
    pair: tuple[Path, Path], sound: Path, refquant: Refquant, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    for folder, said in (
        (tmp_path / "empty", "holds no .wav files"),
        (tmp_path / "none", "is no folder"),
        (sound / "0.wav", "is no folder"),
    ):
        done = refquant("evaluate", *options(pair, folder))
        assert done.code == 1, f"exit code {done.code}"
        assert said in done.err, done.err
    done = refquant("evaluate", *options(pair, sound), "--samples", 3)
    assert (done.code, "holds 2 recordings" in done.err) == (1, True), done.err
    (sound / "1.txt").unlink()
    for metric in ("wer", "nll"):
        done = refquant("evaluate", *options(pair, sound), "--metric", metric)
        assert done.code == 1, f"exit code {done.code}"
        assert "1.wav: nothing says what is spoken in it" in done.err, done.err


def test_references_without_words_have_no_rate(
    pair: tuple[Path, Path], refquant: Refquant, tmp_path: Path
) -> None:
    done = refquant("evaluate", *options(pair, recordings(tmp_path / "mute", "...")))
    assert done.code == 1, f"exit code {done.code}"
    assert "references must have a word" in done.err, done.err


def test_a_tokenizer_that_frames_nothing_is_not_the_models(
    pair: tuple[Path, Path], sound: Path, refquant: Refquant
) -> None:
    tokenizer(pair[1].with_name("tokenizer.json"), framed=False)
    done = refquant("evaluate", *options(pair, sound))
    assert done.code == 1, f"exit code {done.code}"
    assert "begins and ends no text; give the model's own tokenizer.json" in done.err, done.err
    pair[1].with_name("tokenizer.json").unlink()
    done = refquant("evaluate", *options(pair, sound))
    assert done.code == 2, f"exit code {done.code}"
    assert "name one by --tokenizer" in done.err, done.err


def test_nan_is_not_heard(sound: Path, refquant: Refquant, tmp_path: Path) -> None:
    table = NEXT.copy()
    table[2, 0] = np.nan
    broken = speech(tmp_path / "broken", table)
    for metric, said in (("wer", "computes NaN after 2 tokens"), ("nll", "computes NaN or inf")):
        done = refquant("evaluate", *options(broken, sound), "--metric", metric)
        if metric == "nll":  # the second text says "he"
            assert (done.code, said in done.err) == (1, True), done.err
        assert done.code == 1, f"exit code {done.code}"
        assert said in done.err, done.err


def test_a_file_with_both_halves_needs_no_other(refquant: Refquant, tmp_path: Path) -> None:
    model = on_disk.g2p(tmp_path / "g2p.npz")
    (tmp_path / "words").write_text("READ  R EH1 D\nREAD(1)  R IY1 D\nA  AH0\nO'  AH0\n")
    found = result(refquant("evaluate", model, "--words", tmp_path / "words", "--json"))
    assert (found["metric"], found["samples"], found["phonemes"]) == ("phonemes", 2, 4), f"{found}"
    assert found["value"] == 100 * found["errors"] / 4, f"{found}"
    assert found["words_right"] in (0, 50, 100), f"{found}"
    halves = []
    for half in ("encoder", "decoder"):
        halves.append(tmp_path / f"{half}.rq")
        assert refquant("import", model, "--part", half, "-o", halves[-1]).code == 0, half
    options = ("--words", tmp_path / "words", "--json")
    apart = result(refquant("evaluate", halves[1], "--encoder", halves[0], *options))
    assert apart["value"] == found["value"], "the same halves"
    mixed = result(refquant("evaluate", halves[1], "--encoder", model, *options))
    assert mixed["value"] == found["value"], "a half of a file with both"
    one = result(refquant("evaluate", model, *options, "--samples", 1))
    assert one["samples"] == 1, f"{one}"
    said = refquant("evaluate", model, *options[:-1]).out
    assert f"phoneme errors {found['value']:,.2f} % of 2 words" in said, said
    assert f"words right {found['words_right']:.2f} %" in said, said
    assert "2 of 2 words, drawn with seed 0" in said, said
    assert math.isfinite(found["value"]), f"{found}"


def test_dictionaries_and_models_that_do_not_fit(
    pair: tuple[Path, Path], model: Path, refquant: Refquant, tmp_path: Path
) -> None:
    g2p, words = on_disk.g2p(tmp_path / "g2p.npz"), tmp_path / "words"
    for text, said in (("", "holds no word"), ("A  x", "line 1: the phonemes of a word are CMU's")):
        words.write_text(text)
        done = refquant("evaluate", g2p, "--words", words)
        assert done.code == 1, f"exit code {done.code}"
        assert "words: " in done.err, done.err
        assert said in done.err, done.err
    done = refquant("evaluate", g2p, "--words", tmp_path / "none")
    assert (done.code, "no such file" in done.err) == (1, True), done.err
    words.write_text("A  AH0")
    done = refquant("evaluate", model, "--words", words)
    assert (done.code, "neither half of a model" in done.err) == (1, True), done.err
    done = refquant("evaluate", pair[1], "--encoder", pair[0], "--words", words)
    assert (done.code, "'mel', not 'letters'" in done.err) == (1, True), done.err
