"""Calibration data for a model: arrays, a text, or a folder of recordings.

::

    D.npz       one array an input                                    any model
    FOLDER      *.npz, a recording each                               models with states
    TEXT.txt    pieces of --context tokens, spread over the text      models of tokens
    FOLDER      *.wav, for a decoder with their texts                 Whisper

What is made of a text or of recordings comes in batches of few enough samples that attention's
scores, which grow with the square of their length, stay small.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from refquant.cli.common import UsageError
from refquant.cli.data import load, sample_count
from refquant.model.calibrate import STEP
from refquant.model.graph import Graph, has_batch
from refquant.model.loaders.samples import token_input
from refquant.model.loaders.samples_sound import decoder_samples, encoder_samples, find_recordings
from refquant.model.loaders.samples_text import encoded, open_tokenizer, read_text, text_samples
from refquant.model.loaders.sources import Source, open_source

__all__ = ["CONTEXT", "SAMPLES", "Samples", "add_arguments", "read_samples"]

CONTEXT, SAMPLES = 128, 128
_TOKENS = 4096  # in a batch

Arrays = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class Samples:
    """Inputs in ``batches``, and the ``count`` of samples in all of them."""

    batches: Sequence[Arrays]
    count: int


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what says how samples are made of a text or of recordings."""
    parser.add_argument(
        "--tokenizer", metavar="FILE",
        help="tokenizer.json, or a .gguf that has one (default: the model's own, beside it or in "
        "it)",
    )  # fmt: skip
    parser.add_argument(
        "--context",
        type=int,
        metavar="N",
        help=f"tokens in a sample of a text (default: {CONTEXT})",
    )
    parser.add_argument(
        "--samples", type=int, metavar="N",
        help=f"samples of a text, or recordings (default: {SAMPLES}, or as many as there are)",
    )  # fmt: skip


def read_samples(path: str, arguments: argparse.Namespace, source: Source, graph: Graph) -> Samples:
    """Return the samples in ``path`` for ``graph``, which was read from ``source``."""
    kind = "folder" if Path(path).is_dir() else Path(path).suffix.lower()
    foreign = {".txt": (), "folder": ("context",)}.get(kind, ("context", "samples", "tokenizer"))
    for name in ("context", "samples"):
        given = getattr(arguments, name)
        if given is not None and given < 1:
            raise UsageError(f"--{name} must be at least 1, got {given}")
    for name in foreign:
        if getattr(arguments, name) is not None:
            raise UsageError(f"{path}: --{name} is for a text{_ALSO[name]}; leave it away")
    if kind == "folder" and graph.states:
        return _streams(path, graph)
    if kind == "folder":
        return _recorded(path, arguments, source, graph)
    if kind == ".txt":
        return _written(path, arguments, source, graph)
    arrays, _ = load(path, graph)
    return Samples(_cut(graph, arrays, STEP), sample_count(graph, arrays))


_ALSO = {"context": "", "samples": " or recordings", "tokenizer": " or recordings"}


def _written(path: str, arguments: argparse.Namespace, source: Source, graph: Graph) -> Samples:
    context, samples = arguments.context or CONTEXT, arguments.samples
    _check_reader(path, graph)
    text = encoded(open_tokenizer(source, arguments.tokenizer), read_text(path))
    try:
        if samples is None:
            samples = min(SAMPLES, len(text.windows(context=context, samples=None)))
        arrays: Arrays = {**text_samples(graph, text, context=context, samples=samples)}
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return Samples(_cut(graph, arrays, max(1, min(STEP, _TOKENS // context))), samples)


def _check_reader(path: str, graph: Graph) -> None:
    """Refuse a text for a model that reads none, before a tokenizer is looked for."""
    try:
        name = token_input(graph)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if name not in ("input_ids", "tokens"):
        raise ValueError(f"{path}: the model reads {name}, not the tokens of a text; give an .npz")


def _recorded(path: str, arguments: argparse.Namespace, source: Source, graph: Graph) -> Samples:
    hears = graph.inputs == ("mel",)
    if not hears and source.loader != "whisper":
        raise ValueError(
            f"{path}: a folder of recordings is for a Whisper encoder, or for the decoder of a "
            f"folder that holds both, not for {source.path}; give an .npz"
        )
    found = find_recordings(path, samples=arguments.samples)
    if arguments.samples is None:
        found = find_recordings(path, samples=min(SAMPLES, len(found)))
    if hears:
        batches: Sequence[Mapping[str, NDArray[Any]]] = encoder_samples(graph, found)
    else:
        tokenizer = open_tokenizer(source, arguments.tokenizer)
        encoder = open_source(source, part="encoder")
        batches = decoder_samples(encoder, graph, tokenizer, found)
    return Samples([dict(batch) for batch in batches], len(found))


def _streams(path: str, graph: Graph) -> Samples:
    """Return the recordings in a folder, in the order of their names; each begins anew."""
    found = sorted(Path(path).glob("*.npz"))
    if not found:
        raise ValueError(f"{path}: has no .npz file; give a folder of recordings, or one of them")
    recordings = [load(str(file), graph)[0] for file in found]
    return Samples(recordings, sum(sample_count(graph, arrays) for arrays in recordings))


def _cut(graph: Graph, arrays: Arrays, step: int) -> list[Arrays]:
    """Return ``arrays`` in batches of ``step`` samples; whole, where the graph has no batch.

    Whole, too, where it has states: a dict is a recording there.
    """
    if graph.states or not has_batch(graph):
        return [arrays]
    count = sample_count(graph, arrays)
    return [{n: a[i : i + step] for n, a in arrays.items()} for i in range(0, count, step)]
