"""The metric ``kl``: how differently a model and its reference expect each next token of a text.

Texts are what is said in recordings, or windows of a text file. The surprise of the text itself
comes for nothing, of both: `refquant.evaluation.nll`.
"""

import argparse
import math
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import UsageError, decimals
from refquant.cli.evaluate_data import CONTEXT, data_option, recordings, tokenizer_of
from refquant.cli.evaluate_models import Model, other_half, role
from refquant.cli.evaluate_result import Bar, Measured, real
from refquant.evaluation.divergence import divergence
from refquant.evaluation.nll import scores_output, token_nll
from refquant.evaluation.perplexity import windows
from refquant.model.ends import from_outputs
from refquant.model.execute import run
from refquant.model.loaders.log_mel import log_mel
from refquant.model.loaders.samples import read_wav, token_inputs
from refquant.model.loaders.samples_sound import transcripts
from refquant.model.loaders.samples_text import check_rows, encoded, read_text

__all__ = ["measure_kl"]

F32 = NDArray[np.float32]
Scored = tuple[F32, F32, NDArray[np.int32]]


def measure_kl(
    reference: Model, model: Model, arguments: argparse.Namespace, sums: str, bar: Bar
) -> Measured:
    """Return the mean divergence of ``model`` from ``reference`` along the texts."""
    if data_option(arguments) not in ("audio", "text"):
        raise UsageError("--metric kl needs --audio or --text; see refquant evaluate --help")
    if arguments.bos:
        raise UsageError("--bos is for --metric perplexity, not for kl; leave it away")
    spoken = arguments.audio is not None
    scored = (_spoken if spoken else _written)(reference, model, arguments, sums)
    count = len(recordings(arguments)) if spoken else _windows(reference, arguments)[1]
    advance, found = bar(model.path, count), []
    surprises: tuple[list[float], list[float]] = ([], [])
    for theirs, ours, targets in scored:
        found.append(divergence(theirs, ours))
        for kept, scores in zip(surprises, (theirs, ours), strict=True):
            kept.extend(token_nll(scores, targets).tolist())
        advance(1)
    nats = np.concatenate([one.nats for one in found])
    same = 100 * float(np.concatenate([one.same for one in found]).mean())
    value, tokens = math.fsum(nats) / len(nats), len(nats)
    before, after = (math.fsum(kept) / tokens for kept in surprises)
    details = {
        "reference": reference.path, "tokens_scored": tokens, "agreement": same,
        "nll": real(after), "nll_reference": real(before),
        "each": [[len(one.nats), real(math.fsum(one.nats))] for one in found],
    }  # fmt: skip
    said = (
        f"to {reference.path}, along {tokens:,} tokens: the same one is likeliest at "
        f"{decimals(same, 2)} %; nats a token {decimals(after, 4)}, the reference's "
        f"{decimals(before, 4)}",
    )
    columns = {"agree %": decimals(same, 2)}
    things = "recordings" if spoken else "windows"
    context = None if spoken else arguments.context or CONTEXT
    return Measured(value, "nats", count, things, context, details, columns, said)


def _spoken(
    reference: Model, model: Model, arguments: argparse.Namespace, sums: str
) -> Iterator[Scored]:
    """Yield both models' scores of what is said in each recording, and of its end."""
    halves = [_halves(reference, arguments, own=True), _halves(model, arguments, own=False)]
    tokenizer, _ = tokenizer_of([*halves[0], *halves[1]], arguments.tokenizer)
    found = recordings(arguments)
    for recording, said in zip(found, transcripts(found), strict=True):
        frame, mel = encoded(tokenizer, f" {said}"), log_mel(read_wav(recording))
        ids = np.array([*frame.before, *frame.ids, *frame.after], np.int32)
        first, both = len(frame.before), []
        for encoder, decoder in halves:
            audio = run(encoder.graph, {"mel": mel}, sums=sums)["audio"]
            both.append(_scores(decoder, ids, {"audio": audio}, sums)[first - 1 : -1])
        yield both[0], both[1], ids[first:]


def _halves(model: Model, arguments: argparse.Namespace, *, own: bool) -> tuple[Model, Model]:
    """Return (encoder, decoder); a reference that holds both is heard with its ``own`` encoder."""
    if own and model.source.parts:
        arguments = argparse.Namespace(**{**vars(arguments), "encoder": None, "decoder": None})
    other = other_half(model, arguments)
    pair = (model, other) if role(model.graph) == "encoder" else (other, model)
    if "mel" not in pair[0].graph.inputs:
        raise ValueError(f"{pair[0].path}: hears no recordings; choose data for it")
    return pair


def _written(
    reference: Model, model: Model, arguments: argparse.Namespace, sums: str
) -> Iterator[Scored]:
    """Yield both models' scores of each window of the text."""
    pieces, _ = _windows(reference, arguments)
    for ids in pieces:
        both = [_scores(one, ids, {}, sums)[:-1] for one in (reference, model)]
        yield both[0], both[1], ids[1:]


def _windows(reference: Model, arguments: argparse.Namespace) -> tuple[NDArray[np.int32], int]:
    tokenizer, _ = tokenizer_of([reference], arguments.tokenizer)
    text = encoded(tokenizer, read_text(arguments.text))
    context = arguments.context or CONTEXT
    pieces = windows(text.ids, context=context, bos=None, samples=arguments.samples)
    return pieces, len(pieces)


def _scores(model: Model, ids: NDArray[np.int32], given: dict[str, F32], sums: str) -> F32:
    """Return the scores (t, V) after each of the tokens ``ids`` (t,)."""
    graph, name = model.graph, scores_output(model.graph)
    tokens = token_inputs(graph, ids[None])
    check_rows(graph, tokens)
    outputs = run(graph, {**tokens, **given}, sums=sums)
    made: F32 = from_outputs(graph, {name: outputs[name]})[name][0]
    return made
