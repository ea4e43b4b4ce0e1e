"""Metrics of two graphs, an encoder and a decoder: what is heard, and how words are said."""

import argparse
import json
import math
from pathlib import Path

import numpy as np

from refquant.cli.common import decimals
from refquant.cli.evaluate_data import WORDS, read_dictionary, recordings, tokenizer_of
from refquant.cli.evaluate_models import Model, other_half, role
from refquant.cli.evaluate_result import Bar, Measured
from refquant.evaluation.nll import sequence_nll
from refquant.evaluation.pronunciation import choose_words, pronunciation
from refquant.evaluation.wer import word_errors
from refquant.model.execute import run
from refquant.model.loaders.log_mel import log_mel
from refquant.model.loaders.samples import read_wav
from refquant.model.loaders.samples_sound import transcripts
from refquant.model.loaders.samples_text import encoded
from refquant.model.loaders.whisper_ct2 import transcribe

__all__ = ["measure_nll", "measure_phonemes", "measure_wer"]


def _halves(model: Model, arguments: argparse.Namespace, input_name: str) -> tuple[Model, Model]:
    """Return (encoder, decoder); the encoder reads ``input_name``."""
    other = other_half(model, arguments)
    pair = (model, other) if role(model.graph) == "encoder" else (other, model)
    if input_name not in pair[0].graph.inputs:
        raise ValueError(
            f"{pair[0].path}: reads {', '.join(map(repr, pair[0].graph.inputs))}, not "
            f"{input_name!r}; choose data for it"
        )
    return pair


def _suppressed(tokenizer: Path) -> tuple[dict[str, list[int]], str | None]:
    """Return the tokens never to say, at all and at first, of ``config.json`` beside it."""
    path = tokenizer.with_name("config.json")
    if not path.is_file():
        return {}, None
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
        rules = {"never": read["suppress_ids"], "not_first": read["suppress_ids_begin"]}
        return {kind: [int(i) for i in ids] for kind, ids in rules.items()}, str(path)
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            f"{path}: must have lists suppress_ids and suppress_ids_begin: {error!r:.60}; copy "
            "the one that came with the model"
        ) from error


def measure_wer(model: Model, arguments: argparse.Namespace, sums: str, bar: Bar) -> Measured:
    """Return the word error rate of what is heard in the recordings."""
    encoder, decoder = _halves(model, arguments, "mel")
    tokenizer, path = tokenizer_of([model, encoder, decoder], arguments.tokenizer)
    frame = encoded(tokenizer, " a")
    if not frame.before or not frame.after:
        raise ValueError(f"{path}: begins and ends no text; give the model's own tokenizer.json")
    found = recordings(arguments)
    wanted = transcripts(found)
    rules, config = _suppressed(path)
    advance, heard = bar(model.path, len(found)), []
    for recording in found:
        mel = log_mel(read_wav(recording))
        tokens = transcribe(
            (encoder.graph, decoder.graph), mel, begin=frame.before, end=frame.after[0], sums=sums,
            never=rules.get("never", ()), not_first=rules.get("not_first", ()),
        )  # fmt: skip
        heard.append(tokenizer.decode(tokens))
        advance(1)
    errors = word_errors(wanted, heard)
    kinds = errors.edits
    details = {
        "words": errors.words, "substitutions": kinds.substitutions, "deletions": kinds.deletions,
        "insertions": kinds.insertions, "recordings_right": errors.right,
        "tokenizer": str(path), "suppressed": config,
        "transcripts": [
            {"recording": r.name, "reference": w, "heard": h.strip()}
            for r, w, h in zip(found, wanted, heard, strict=True)
        ],
    }  # fmt: skip
    said = (
        f"{errors.words} words: {kinds.substitutions} substituted, {kinds.deletions} deleted, "
        f"{kinds.insertions} inserted; {errors.right} of {errors.sentences} recordings right",
        f"tokenizer {path}, {'all tokens allowed' if config is None else f'rules of {config}'}",
    )
    columns = {"recordings right": f"{errors.right} of {errors.sentences}"}
    rate = 100 * errors.rate
    return Measured(rate, "percent", len(found), "recordings", None, details, columns, said)


def measure_nll(model: Model, arguments: argparse.Namespace, sums: str, bar: Bar) -> Measured:
    """Return the mean surprise of the transcripts, given the sound."""
    encoder, decoder = _halves(model, arguments, "mel")
    tokenizer, path = tokenizer_of([model, encoder, decoder], arguments.tokenizer)
    found = recordings(arguments)
    surprises: list[float] = []
    advance = bar(model.path, len(found))
    for recording, said in zip(found, transcripts(found), strict=True):
        frame = encoded(tokenizer, f" {said}")
        ids = np.array([*frame.before, *frame.ids, *frame.after], np.int32)
        audio = run(encoder.graph, {"mel": log_mel(read_wav(recording))}, sums=sums)["audio"]
        first = len(frame.before)
        nats = sequence_nll(decoder.graph, ids, first=first, given={"audio": audio}, sums=sums)
        surprises += nats.tolist()
        advance(1)
    value, count = math.fsum(surprises) / len(surprises), len(surprises)
    details = {"tokens_scored": count, "tokenizer": str(path)}
    words = (f"{count} tokens scored, of the transcripts and their ends; tokenizer {path}",)
    return Measured(
        value, "nats", len(found), "recordings", None, details, {"tokens": f"{count:,}"}, words
    )


def measure_phonemes(model: Model, arguments: argparse.Namespace, sums: str, bar: Bar) -> Measured:
    """Return the phoneme error rate on words of the dictionary, and how many are right."""
    encoder, decoder = _halves(model, arguments, "letters")
    ways = read_dictionary(arguments.words)
    words = choose_words(ways, samples=arguments.samples or WORDS)
    pair, advance = (encoder.graph, decoder.graph), bar(model.path, len(words))
    found = pronunciation(pair, ways, words, sums=sums, advance=advance)
    right = 100 * found.right / found.words
    details = {
        "words_right": right, "phonemes": found.phonemes, "errors": found.errors,
        "words": arguments.words, "seed": 0,
    }  # fmt: skip
    said = (
        f"words right {decimals(right, 2)} %; {found.errors:,} errors in {found.phonemes:,} "
        f"phonemes; {found.words:,} of {len(ways):,} words, drawn with seed 0",
    )
    columns = {"words right %": decimals(right, 2)}
    rate = 100 * found.error_rate
    return Measured(rate, "percent", found.words, "words", None, details, columns, said)
