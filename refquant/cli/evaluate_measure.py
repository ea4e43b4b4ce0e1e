"""Metrics of one graph and data with answers: accuracy and perplexity."""

import argparse
from pathlib import Path
from typing import Any

import numpy as np

from refquant.cli.data import in_reals, load
from refquant.cli.evaluate_data import CONTEXT, tokenizer_of
from refquant.cli.evaluate_models import Model
from refquant.cli.evaluate_result import Bar, Measured, real, shown
from refquant.cli.reference import execute
from refquant.evaluation.perplexity import perplexity, windows
from refquant.formats.gguf import read_gguf
from refquant.model.graph import Graph
from refquant.model.loaders.samples_text import Framed, encoded, read_text
from refquant.model.metrics import accuracy

__all__ = ["measure_perplexity", "measure_top1", "scores_output"]


def measure_top1(model: Model, arguments: argparse.Namespace, sums: str, bar: Bar) -> Measured:
    """Return the percentage of samples whose label has the largest score."""
    graph = model.graph
    scores = scores_output(graph, arguments.scores)
    inputs, labels = load(arguments.data, graph, labels=True)
    assert labels is not None, "asked for"
    classes = int(graph.values[scores].shape[-1])
    if labels.min() < 0 or labels.max() >= classes:
        raise ValueError(
            f"{arguments.data}: 'labels' must be from 0 to {classes - 1}, the classes of "
            f"output {scores!r}, got {int(labels.min())} to {int(labels.max())}; number them so"
        )
    count = arguments.samples or len(labels)
    if count > len(labels):
        raise ValueError(f"{arguments.data}: holds {len(labels)} samples; --samples says {count}")
    given = {name: array[:count] for name, array in inputs.items()}
    outputs = execute(graph, given, bar(model.path, count), sums=sums)
    right = accuracy(in_reals(graph, scores, outputs[scores]), labels[:count])
    return Measured(100 * right, "percent", count, "samples")


def scores_output(graph: Graph, name: str | None) -> str:
    """Return the name of the output with the scores: (samples, classes)."""
    if name is None and len(graph.outputs) > 1:
        raise ValueError(f"the model has the outputs {list(graph.outputs)}; choose one by --scores")
    chosen = graph.outputs[0] if name is None else name
    if chosen not in graph.outputs:
        raise ValueError(f"--scores {chosen!r} is none of the outputs {list(graph.outputs)}")
    shape = graph.values[chosen].shape
    if len(shape) != 2 or shape[0] != "N":
        raise ValueError(
            f"output {chosen!r} has shape {list(shape)}, but scores are [N, classes]; "
            "top1 is for classifiers"
        )
    return chosen


def measure_perplexity(
    model: Model, arguments: argparse.Namespace, sums: str, bar: Bar
) -> Measured:
    """Return the perplexity on the text, and the six things that it depends on."""
    tokenizer, path = tokenizer_of([model], arguments.tokenizer)
    text = encoded(tokenizer, read_text(arguments.text))
    context, ids = arguments.context or CONTEXT, text.ids
    bos = _bos(tokenizer, path, text, arguments.bos_token) if arguments.bos else None
    try:
        count = len(windows(ids, context=context, bos=bos, samples=arguments.samples))
        found = perplexity(
            model.graph, ids, context=context, bos=bos, samples=arguments.samples, sums=sums,
            advance=bar(model.path, count),
        )  # fmt: skip
    except ValueError as error:
        raise ValueError(f"{model.path}, {arguments.text}: {error}") from error
    details = {
        "tokenizer": str(path), "bos": bos, "stride": found.stride, "tokens_scored": found.scored,
        "nll": real(found.nll), "text": arguments.text,
    }  # fmt: skip
    said = (
        f"context {context}, stride {found.stride}, "
        f"{'no BOS' if bos is None else f'BOS {bos}'}, tokenizer {path}",
        f"the first {found.windows:,} windows, {found.scored:,} tokens scored",
    )
    columns = {"nats a token": shown(found.nll, 4)}
    return Measured(found.value, None, found.windows, "windows", context, details, columns, said)


_BEGINNINGS = ("<s>", "<bos>", "<|begin_of_text|>", "<|startoftext|>")


def _bos(tokenizer: Any, path: Path, text: Framed, name: str | None) -> int:
    """Return the id of the token that begins a text: the named one, or what the tokenizer says."""
    if name is None and len(text.before) == 1:
        return text.before[0]
    if name is None and path.suffix.lower() == ".gguf":
        found = read_gguf(path).metadata.get("tokenizer.ggml.bos_token_id")
        if isinstance(found, int | np.integer):
            return int(found)
    names = [name] if name is not None else _BEGINNINGS
    ids = [i for i in map(tokenizer.token_to_id, names) if i is not None]
    if len(ids) != 1:
        wrong = "does not say which token begins a text" if name is None else f"has no {name!r}"
        raise ValueError(f"{path}: {wrong}; name it by --bos-token")
    return int(ids[0])
