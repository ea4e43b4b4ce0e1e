"""What calibration may be: arrays, a text for tokens, recordings for Whisper; and what it says."""

import argparse
import json
import re
import wave
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from refquant.cli.samples import CONTEXT, SAMPLES, read_samples
from refquant.model.build import Builder
from refquant.model.loaders.sources import Source, find_source, open_model
from refquant.model.quantize import quantize
from refquant.model.recipe import recipe
from refquant.model.rq import read_rq, write_rq
from tests.refquant.model.loaders import on_disk

Refquant = Callable[..., Any]

TEXT = "a b c d e f g h i j " * 12


def asked(**given: Any) -> argparse.Namespace:
    return argparse.Namespace(**{"tokenizer": None, "context": None, "samples": None, **given})


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    """A tiny BERT with a tokenizer of letters, and a text of 120 of them beside its folder."""
    library = pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    folder = on_disk.minilm(tmp_path / "bert")
    words = {word: i for i, word in enumerate("abcdefghij?")}
    tokenizer = library.Tokenizer(library.models.WordLevel(words, unk_token="?"))
    tokenizer.pre_tokenizer = library.pre_tokenizers.Whitespace()
    tokenizer.save(str(folder / "tokenizer.json"))
    (tmp_path / "text.txt").write_text(TEXT)
    return folder


def read(path: Path, bert: Path, **given: Any) -> Any:
    return read_samples(str(path), asked(**given), find_source(bert), open_model(bert))


def test_a_text_is_cut_into_batches(bert: Path, tmp_path: Path) -> None:
    got = read(tmp_path / "text.txt", bert, context=3)
    assert got.count == 40, "as many as there are"
    sizes = [batch["input_ids"].shape for batch in got.batches]
    assert sizes == [(32, 3), (8, 3)], f"{sizes}"
    assert set(got.batches[0]) == set(open_model(bert).inputs), "each input"
    ids = np.concatenate([batch["input_ids"] for batch in got.batches])
    assert ids.reshape(-1).tolist() == list(range(10)) * 12, "the whole text"
    few = read(tmp_path / "text.txt", bert, context=3, samples=2)
    assert few.batches[0]["input_ids"].tolist() == [ids[0].tolist(), ids[20].tolist()], "spread"


def test_long_pieces_go_in_small_batches(bert: Path, tmp_path: Path) -> None:
    b = Builder("long")
    ids = b.input("input_ids", ("N", "T"), dtype="int32")
    graph = b.graph([b.node("Cast", [ids], attributes={"to": 1}, name="y")])
    (tmp_path / "long.txt").write_text("a b " * 5000)
    source, path = find_source(bert), str(tmp_path / "long.txt")
    got = read_samples(path, asked(context=2048), source, graph)
    sizes = [batch["input_ids"].shape for batch in got.batches]
    assert sizes == [(2, 2048), (2, 2048)], f"{sizes}"
    got = read_samples(path, asked(), source, graph)
    assert (got.count, got.batches[0]["input_ids"].shape[1]) == (78, CONTEXT), "the defaults"
    got = read_samples(path, asked(context=2), source, graph)
    assert got.count == SAMPLES, "more are there, and not asked for"


def test_a_file_of_arrays_is_taken_as_it_is(bert: Path, tmp_path: Path) -> None:
    made = read(tmp_path / "text.txt", bert, context=3)
    whole = {n: np.concatenate([b[n] for b in made.batches]) for n in made.batches[0]}
    np.savez(tmp_path / "d.npz", **whole)  # type: ignore[arg-type]  # no array is allow_pickle
    got = read(tmp_path / "d.npz", bert)
    assert got.count == 40, f"{got.count}"
    for one, other in zip(got.batches, made.batches, strict=True):
        assert all(one[name].tolist() == other[name].tolist() for name in one), "the same samples"


@pytest.mark.parametrize(
    ("name", "given", "said"),
    [
        ("d.npz", {"context": 3}, "d.npz: --context is for a text; leave it away"),
        ("d.npz", {"samples": 3}, "d.npz: --samples is for a text or recordings"),
        ("d.npz", {"tokenizer": "t"}, "d.npz: --tokenizer is for a text or recordings"),
        (".", {"context": 3}, "--context is for a text; leave it away"),
        ("text.txt", {"context": 0}, "--context must be at least 1, got 0"),
        ("text.txt", {"samples": -1}, "--samples must be at least 1, got -1"),
    ],
)
def test_what_does_not_belong_is_wrong_usage(
    name: str, given: dict[str, Any], said: str, bert: Path, refquant: Refquant, tmp_path: Path
) -> None:
    options = [text for key, value in given.items() for text in (f"--{key}", value)]
    out = tmp_path / "q.rq"
    rules = ("--scheme", "int4_gptq", "--calibration", tmp_path / name, "-o", out)
    done = refquant("quantize", bert, *rules, *options)
    assert (done.code, out.exists()) == (2, False), done.err
    assert said in done.err, done.err


@pytest.mark.parametrize(
    ("name", "text", "given", "said"),
    [
        ("none.txt", None, (), "none.txt: cannot be read: no such file"),
        ("t.txt", " ", (), "t.txt: holds no text"),
        ("t.txt", "a b c", (), "t.txt: the text has 3 tokens: 0 whole pieces of 128, and 1 are"),
        ("t.txt", TEXT, ("--context", 40), "position_ids goes up to 39, but .* has 9 rows"),
        ("t.txt", TEXT, ("--context", 5, "--samples", 25), "24 whole pieces of 5, and 25 are"),
        ("t.txt", TEXT, ("--tokenizer", "none.json"), "none.json: is no tokenizer"),
    ],
)
def test_texts_that_give_no_samples_are_refused(
    name: str, text: str | None, given: tuple[Any, ...], said: str,
    bert: Path, refquant: Refquant, tmp_path: Path,
) -> None:  # fmt: skip
    if text is not None:
        (tmp_path / name).write_text(text)
    rules = ("--scheme", "int4_gptq", "--calibration", tmp_path / name, "-o", tmp_path / "q.rq")
    done = refquant("quantize", bert, *rules, *given)
    assert done.code == 1, f"exit code {done.code}: {done.err}"
    assert re.search(said, done.err), done.err
    assert not list(tmp_path.glob("q.rq*")), "nothing is left behind"


def test_a_model_without_tokens_takes_no_text(
    refquant: Refquant, model: Path, bert: Path, tmp_path: Path
) -> None:
    rules = ("--scheme", "int8_static", "--calibration", tmp_path / "text.txt")
    for tokenizer in ((), ("--tokenizer", bert / "tokenizer.json", "--context", 3)):
        done = refquant("quantize", model, *rules, *tokenizer, "-o", tmp_path / "q.rq")
        assert done.code == 1, f"exit code {done.code}"
        assert "the model's inputs are ['x']; text is for a model with one of input_i" in done.err
    letters = (on_disk.g2p(tmp_path / "g.npz"), "--part", "encoder")
    done = refquant("quantize", *letters, *rules, "-o", tmp_path / "q.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "the model reads letters, not the tokens of a text; give an .npz" in done.err, done.err


def test_recordings_are_for_whisper(refquant: Refquant, bert: Path, tmp_path: Path) -> None:
    (tmp_path / "sound").mkdir()
    rules = ("--scheme", "int4_gptq", "--calibration", tmp_path / "sound", "-o", tmp_path / "q.rq")
    done = refquant("quantize", bert, *rules)
    assert done.code == 1, f"exit code {done.code}"
    assert "a folder of recordings is for a Whisper encoder, or for the decoder" in done.err


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    folder = tmp_path / "sound"
    folder.mkdir()
    for i in range(3):
        with wave.open(str(folder / f"{i}.wav"), "wb") as file:
            file.setparams((1, 2, 16000, 0, "NONE", ""))
            file.writeframes(np.random.default_rng(i).integers(-999, 999, 1600, np.int16).tobytes())
    return folder


def test_an_encoder_alone_hears_recordings(sound: Path, tmp_path: Path) -> None:
    b = Builder("ear")
    graph = b.graph([b.node("Relu", [b.input("mel", ("N", 80, 3000))], name="audio")])
    source = Source("ear.rq", tmp_path / "ear.rq", "rq")
    got = read_samples(str(sound), asked(), source, graph)
    shapes = [batch["mel"].shape for batch in got.batches]
    assert (got.count, shapes) == (3, [(1, 80, 3000)] * 3), f"{shapes}"
    assert read_samples(str(sound), asked(samples=2), source, graph).count == 2, "as asked for"


def test_a_decoder_needs_what_is_said(sound: Path, refquant: Refquant, tmp_path: Path) -> None:
    pytest.importorskip("tokenizers", reason="the extra refquant[text]")
    folder = on_disk.whisper(tmp_path / "whisper")
    rules = ("--part", "decoder", "--scheme", "int4_gptq", "--calibration", sound)
    done = refquant("quantize", folder, *rules, "-o", tmp_path / "q.rq")
    assert done.code == 1, f"exit code {done.code}"
    assert "there is no tokenizer.json beside it; name the tokenizer (--tokenizer)" in done.err


def test_from_the_source_or_from_the_import_the_bytes_are_the_same(
    bert: Path, refquant: Refquant, tmp_path: Path
) -> None:
    text = ("--calibration", tmp_path / "text.txt", "--context", 3, "--few-tokens")
    rules = ("--recipe", tmp_path / "mine.toml", *text)
    (tmp_path / "mine.toml").write_text(
        'scheme = "weight_only"\ncontract = "ort"\n[weights]\nalgorithm = "gptq"\nbits = 4\n'
    )
    assert refquant("import", bert, "-o", tmp_path / "m.rq").code == 0, "imported"
    outputs = tmp_path / "a.rq", tmp_path / "b.rq"
    done = refquant("quantize", bert, *rules, "-o", outputs[0], "--json")
    assert done.code == 0, done.err
    told = json.loads(done.out)
    tokenizer = ("--tokenizer", bert / "tokenizer.json")
    again = refquant("quantize", tmp_path / "m.rq", *rules, *tokenizer, "-o", outputs[1])
    assert again.code == 0, again.err
    assert outputs[0].read_bytes() == outputs[1].read_bytes(), "the way it came in is no matter"
    elements = sum(a.size for a in open_model(bert).constants.values())
    assert told["bytes_before"] == 4 * elements, f"{told}"
    assert told["bytes_before_of"] == "float32 tensors", f"{told}"
    assert told["ratio"] == told["bytes_before"] / outputs[0].stat().st_size, f"{told}"
    assert told["calibration_samples"] == 40, f"{told}"
    meta = read_rq(outputs[0]).meta
    assert meta["recipe"]["weights"]["gptq"]["few_tokens"] is True, "the file says so"
    assert meta["imported"]["loader"] == "bert", "and where it came from"


def test_sums_are_as_asked_for(refquant: Refquant, model: Path, data: Path, tmp_path: Path) -> None:
    rules = ("--scheme", "int8_static", "--calibration", data, "--sums", "blas")
    assert refquant("quantize", model, *rules, "-o", tmp_path / "q.rq").code == 0, "quantized"
    assert read_rq(tmp_path / "q.rq").meta["recipe"]["sums"] == "blas", "the file says so"
    plain = quantize(read_rq(model), recipe("int8_static"), {"x": np.load(data)["x"]})
    assert plain.meta["recipe"]["sums"] == "ordered", "the recipe's own"


def test_few_tokens_are_of_gptq(refquant: Refquant, model: Path, tmp_path: Path) -> None:
    done = refquant("quantize", model, "--scheme", "nf4", "--few-tokens", "-o", tmp_path / "q.rq")
    assert done.code == 2, f"exit code {done.code}"
    assert "--few-tokens is for gptq, which is not what 'nf4' does" in done.err, done.err


def test_a_graph_without_a_batch_is_one_sample(tmp_path: Path) -> None:
    b = Builder("fixed")
    graph = b.graph([b.node("Relu", [b.input("x", (3, 2))], name="y")])
    write_rq(tmp_path / "m.rq", graph)
    np.savez(tmp_path / "d.npz", x=np.ones((3, 2), np.float32))
    got = read_samples(str(tmp_path / "d.npz"), asked(), find_source(tmp_path / "m.rq"), graph)
    assert (got.count, got.batches[0]["x"].shape) == (1, (3, 2)), "whole"
