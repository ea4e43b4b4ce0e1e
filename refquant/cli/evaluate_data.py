"""What a model is evaluated on: arrays, a text, recordings, or a dictionary.

One of the four options is given. A metric of its own reads it as it needs; what only compares a
model with another takes `batches`: inputs in reals, a few samples each.
"""

import argparse
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import UsageError
from refquant.cli.data import load, read_npz, sample_count
from refquant.cli.evaluate_models import Model, other_half, role
from refquant.evaluation.pronunciation import choose_words, parse_dictionary
from refquant.model.execute import run
from refquant.model.loaders.g2p_gru import LETTERS, PHONEMES
from refquant.model.loaders.samples_sound import decoder_samples, encoder_samples, find_recordings
from refquant.model.loaders.samples_text import encoded, open_tokenizer, read_text, text_samples
from refquant.model.loaders.text import Tokenizer

__all__ = [
    "CONTEXT",
    "ENCODER_CONTEXT",
    "WORDS",
    "Batches",
    "batches",
    "data_option",
    "has_labels",
    "read_dictionary",
    "recordings",
    "tokenizer_of",
]

CONTEXT, ENCODER_CONTEXT = 512, 128
"""Tokens of a window: of a language model, of any other that reads text."""

WORDS = 1000
"""Words of a dictionary that are tried, if nothing else is said."""

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Batches:
    """Inputs of a graph in reals, ``count`` samples in all; ``context`` tokens each, of a text."""

    inputs: Sequence[Arrays]
    count: int
    context: int | None = None


def data_option(arguments: argparse.Namespace) -> str:
    """Return which of the data options was given."""
    return next(name for name in ("data", "text", "audio", "words") if getattr(arguments, name))


def has_labels(path: str) -> bool:
    """Say whether the archive has an array ``labels``; what is no archive has none."""
    try:
        with zipfile.ZipFile(path) as archive:
            return "labels.npy" in archive.namelist()
    except (OSError, zipfile.BadZipFile):
        return False


def batches(model: Model, arguments: argparse.Namespace) -> Batches:
    """Return what ``model`` is run on to compare it with another."""
    option = data_option(arguments)
    make = {"data": _arrays, "text": _text, "audio": _audio, "words": _words}[option]
    return make(model, arguments)


def tokenizer_of(models: Sequence[Model], given: str | None) -> tuple[Tokenizer, Path]:
    """Return the tokenizer ``given``, or that of the first model that has one; and its path."""
    if given is not None:
        return open_tokenizer(models[0].source, given), Path(given)
    for model in models:
        beside = model.source.file.with_name("tokenizer.json")
        if model.source.loader == "llama":
            return open_tokenizer(model.source), model.source.file
        if beside.is_file():
            return open_tokenizer(model.source), beside
    raise UsageError(
        f"{models[0].path}: there is no tokenizer.json beside it; name one by --tokenizer; see "
        "refquant evaluate --help"
    )


def recordings(arguments: argparse.Namespace) -> tuple[Path, ...]:
    """Return the recordings in ``--audio``, ``--samples`` of them or all."""
    if not Path(arguments.audio).is_dir():
        raise ValueError(f"{arguments.audio}: is no folder; give a folder of .wav files")
    return find_recordings(arguments.audio, samples=arguments.samples)


def read_dictionary(path: str) -> dict[str, list[list[str]]]:
    """Return the dictionary in ``path``: word to its ways."""
    # Latin-1 decodes any bytes, and nothing but ASCII becomes a word.
    text = Path(path).read_bytes().decode("latin-1")
    try:
        return parse_dictionary(text)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _arrays(model: Model, arguments: argparse.Namespace) -> Batches:
    if model.graph.states:
        raise ValueError(
            f"{model.path}: has states, so its samples are steps of a stream; compare it by "
            "`refquant compare`"
        )
    encoded_inputs, _ = load(arguments.data, model.graph)  # checked: names, shapes, dtypes
    arrays = read_npz(arguments.data, model.graph.inputs)
    for name, array in arrays.items():
        if model.graph.values[name].quant is not None and array.dtype != np.float32:
            raise ValueError(
                f"{arguments.data}: array {name!r} holds codes; give the reals, float32, that "
                "every model here can be fed with"
            )
    count = sample_count(model.graph, encoded_inputs)
    wanted = arguments.samples or count
    if wanted > count:
        raise ValueError(
            f"{arguments.data}: holds {count} samples, and --samples says {wanted}; ask for fewer"
        )
    batch = {
        name: a[:wanted] if model.graph.values[name].shape[:1] == ("N",) else a
        for name, a in arrays.items()
    }
    return Batches([batch], wanted)


def _text(model: Model, arguments: argparse.Namespace) -> Batches:
    tokenizer, _ = tokenizer_of([model], arguments.tokenizer)
    text = encoded(tokenizer, read_text(arguments.text))
    context = arguments.context or ENCODER_CONTEXT
    try:
        inputs = text_samples(model.graph, text, context=context, samples=arguments.samples)
    except ValueError as error:
        raise ValueError(f"{arguments.text}: {error}") from error
    return Batches([inputs], len(next(iter(inputs.values()))), context)


def _audio(model: Model, arguments: argparse.Namespace) -> Batches:
    found = recordings(arguments)
    if role(model.graph) == "encoder":
        samples: Sequence[Arrays] = encoder_samples(model.graph, found)
    else:
        half = other_half(model, arguments)
        tokenizer, _ = tokenizer_of([model, half], arguments.tokenizer)
        samples = decoder_samples(half.graph, model.graph, tokenizer, found)
    return Batches(samples, len(found))


def _words(model: Model, arguments: argparse.Namespace) -> Batches:
    """Return words of one length together; for the decoder the encoder's state, and phonemes."""
    ways = read_dictionary(arguments.words)
    words = choose_words(ways, samples=arguments.samples or WORDS)
    decoder = role(model.graph) == "decoder"
    encoder = other_half(model, arguments).graph if decoder else model.graph
    if tuple(encoder.inputs) != ("letters",):
        raise ValueError(f"{model.path}: reads no letters; --words is for models that do")
    groups: dict[tuple[int, int], list[str]] = {}
    for word in words:
        groups.setdefault((len(word), len(ways[word][0]) if decoder else 0), []).append(word)
    inputs: list[Arrays] = []
    for group in groups.values():
        spelled = [[LETTERS.index(letter) for letter in (*word, "</s>")] for word in group]
        letters = {"letters": np.array(spelled, np.int32)}
        if not decoder:
            inputs.append(letters)
            continue
        said = [[PHONEMES.index(p) for p in ("<s>", *ways[word][0])] for word in group]
        state = run(encoder, letters)["state"]
        inputs.append({"phonemes": np.array(said, np.int32), "state": state})
    return Batches(inputs, len(words))
