"""``refquant evaluate``: what a model is worth, by the golden reference.

Without ``--metric`` the data say which: an archive with ``labels`` is for accuracy, a text for a
language model's perplexity, recordings for the word error rate, a dictionary for pronunciation. Any
of these can also be what a model is compared with another on: cosine, SQNR.
"""

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from refquant.cli.common import Command, UsageError, need_tables, print_json, progress
from refquant.cli.evaluate_data import (
    CONTEXT,
    ENCODER_CONTEXT,
    WORDS,
    Batches,
    batches,
    data_option,
    has_labels,
)
from refquant.cli.evaluate_divergence import measure_kl
from refquant.cli.evaluate_measure import measure_perplexity, measure_top1
from refquant.cli.evaluate_models import (
    BIG,
    Model,
    chosen_sums,
    open_evaluated,
    size_of,
)
from refquant.cli.evaluate_pairs import measure_nll, measure_phonemes, measure_wer
from refquant.cli.evaluate_reference import LOW, json_layers, layers_of, nearness, print_layers
from refquant.cli.evaluate_result import TITLES, Bar, Measured, json_row, print_measured
from refquant.cli.models import MODEL, add_part, add_sums
from refquant.evaluation.layers import Layer

__all__ = ["COMMAND"]

_OWN: Mapping[str, Callable[[Model, argparse.Namespace, str, Bar], Measured]] = {
    "top1": measure_top1,
    "perplexity": measure_perplexity,
    "wer": measure_wer,
    "nll": measure_nll,
    "phonemes": measure_phonemes,
}
_NEEDS = {
    "top1": "data", "perplexity": "text", "wer": "audio", "nll": "audio", "phonemes": "words",
}  # fmt: skip
_FOREIGN = {  # option to the data options that it goes with
    "tokenizer": ("text", "audio"), "context": ("text",), "bos": ("text",), "bos_token": ("text",),
    "scores": ("data", "text", "audio", "words"),
}  # fmt: skip


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", metavar="MODEL", nargs="+", help=f"{MODEL}; several: a table")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument(
        "--data", metavar="D.npz",
        help="one array an input; for top1 also 'labels': for each sample the number of its class",
    )  # fmt: skip
    data.add_argument("--text", metavar="FILE", help="a text, for models of tokens")
    data.add_argument(
        "--audio", metavar="FOLDER", help="*.wav, and beside each *.txt with what is said, in words"
    )
    data.add_argument("--words", metavar="FILE", help="a dictionary of pronunciations, as cmudict")
    parser.add_argument(
        "--metric", choices=TITLES, help="what is measured (default: what the data are for)"
    )
    parser.add_argument(
        "--reference", metavar="MODEL",
        help="what cosine, sqnr, kl and --layers compare with (default: the first of several)",
    )  # fmt: skip
    parser.add_argument(
        "--layers", action="store_true", help="also the error of each layer beside the reference"
    )
    parser.add_argument(
        "--threshold", type=float, default=LOW, metavar="DB",
        help=f"with --layers: point at the first layer below (default: {LOW:g})",
    )  # fmt: skip
    _add_how(parser)
    parser.add_argument("--json", action="store_true", help="one JSON object a model, no text")


def _add_how(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--tokenizer", metavar="FILE",
        help="tokenizer.json or a .gguf (default: beside the model or in it)",
    )  # fmt: skip
    parser.add_argument(
        "--context", type=int, metavar="N",
        help=f"tokens of a window (default: {CONTEXT}, text encoders {ENCODER_CONTEXT})",
    )  # fmt: skip
    parser.add_argument(
        "--bos", action=argparse.BooleanOptionalAction, default=None,
        help="begin each window with the token that begins a text (default: not)",
    )  # fmt: skip
    parser.add_argument(
        "--bos-token", metavar="TOKEN", help="which, where the tokenizer does not say it"
    )
    parser.add_argument(
        "--samples", type=int, metavar="N",
        help=f"so many windows, recordings, words or samples (default: all; words: {WORDS:,})",
    )  # fmt: skip
    add_part(parser)
    for half in ("encoder", "decoder"):
        parser.add_argument(
            f"--{half}", metavar="MODEL", help=f"where MODEL is the other half: the {half}"
        )
    parser.add_argument(
        "--scores", metavar="NAME", help="which output is meant, where there are several"
    )
    add_sums(parser, f"blas from {BIG:,} weights on, else ordered")


@dataclass(slots=True)
class _Job:
    """What is the same for all models, once the first is there."""

    arguments: argparse.Namespace
    bar: Bar
    reference: Model | None
    metric: str = ""
    sums: str = ""
    data: Batches | None = None  # what the reference is compared on

    def begin(self, model: Model) -> None:
        """Find out the metric from the first model."""
        self.metric = self.arguments.metric or _metric(model, self.arguments)
        _check_metric(self.metric, self.reference, self.arguments)
        known = [m for m in (model, self.reference) if m is not None]
        self.sums = chosen_sums(self.arguments.sums, known)
        if self.reference and (self.metric not in (*_OWN, "kl") or self.arguments.layers):
            self.data = batches(self.reference, self.arguments)

    def measure(self, model: Model) -> Measured:
        if self.metric in _OWN:
            return _OWN[self.metric](model, self.arguments, self.sums, self.bar)
        assert self.reference is not None, "checked"
        if self.metric == "kl":
            return measure_kl(self.reference, model, self.arguments, self.sums, self.bar)
        assert self.data is not None, "made with the reference"
        how = (self.data, self.arguments.scores, self.sums, self.bar)
        return nearness(self.metric, self.reference, model, *how)

    def layers(self, model: Model) -> list[Layer] | None:
        """Return the errors of the layers, where they are asked for and of another model."""
        if not self.arguments.layers or self.reference is None or self.data is None:
            return None
        if model is self.reference and len(self.arguments.models) > 1:
            return None
        return layers_of(self.reference, model, self.data, self.sums, self.bar)


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    if not arguments.json and (len(arguments.models) > 1 or arguments.layers):
        need_tables()
    rows: list[tuple[str, int, Measured]] = []
    objects, tables = list[dict[str, Any]](), list[tuple[str, list[Layer]]]()
    with progress() as bar:
        job = _Job(arguments, bar, _reference(arguments))
        for path in arguments.models:
            known = job.reference is not None and path == job.reference.path
            model = job.reference if known else None
            model = model or open_evaluated(path, arguments)
            if not rows:
                job.begin(model)
            rows.append((path, size_of(model), job.measure(model)))
            row = json_row(*rows[-1], metric=job.metric, sums=job.sums, first=rows[0][2])
            layers = job.layers(model)
            if layers is not None:
                tables.append((path, layers))
                row |= json_layers(layers, arguments.threshold)
            objects.append(row)
    if arguments.json:
        print_json(objects[0] if len(objects) == 1 else objects)
        return 0
    print_measured(job.metric, rows, job.sums)
    for path, layers in tables:
        print_layers(path, layers, arguments.threshold)
    return 0


def _check(arguments: argparse.Namespace) -> None:
    """Refuse options that say nothing here."""
    option = data_option(arguments)
    for name, goes_with in _FOREIGN.items():
        if getattr(arguments, name) is not None and option not in goes_with:
            raise UsageError(
                f"--{name.replace('_', '-')} is for --{' and --'.join(goes_with)}, not for "
                f"--{option}; leave it away; see refquant evaluate --help"
            )
    for name in ("samples", "context"):
        given = getattr(arguments, name)
        if given is not None and given < 1:
            raise UsageError(f"--{name} must be at least 1, got {given}; see refquant evaluate -h")
    needs = _NEEDS.get(arguments.metric, option)
    if needs != option:
        raise UsageError(
            f"--metric {arguments.metric} needs --{needs}, not --{option}; see refquant evaluate -h"
        )


def _reference(arguments: argparse.Namespace) -> Model | None:
    """Return what models are compared with, where that is asked for."""
    path = arguments.reference or (arguments.models[0] if len(arguments.models) > 1 else None)
    if arguments.metric in _OWN and not arguments.layers:
        return None
    return None if path is None else open_evaluated(path, arguments)


def _check_metric(metric: str, reference: Model | None, arguments: argparse.Namespace) -> None:
    if reference is None and (metric not in _OWN or arguments.layers):
        what = "--layers" if metric in _OWN else f"--metric {metric}"
        raise UsageError(
            f"{what} compares with another model; give it by --reference, or first; see refquant "
            "evaluate --help"
        )


def _metric(model: Model, arguments: argparse.Namespace) -> str:
    """Return what the data are for, of what the model can do."""
    option = data_option(arguments)
    if option == "audio":
        return "wer"
    if option == "words":
        return "phonemes"
    if option == "text":
        return "perplexity" if "logits" in model.graph.outputs else "cosine"
    if has_labels(arguments.data):
        return "top1"
    if arguments.reference is None and len(arguments.models) == 1:
        raise ValueError(
            f"{arguments.data}: has no array 'labels', which top1 needs; add one, or name a "
            "--reference to compare with"
        )
    raise UsageError(
        f"{arguments.data}: has no array 'labels', so it may be for --metric cosine or for "
        "--metric sqnr; choose one; see refquant evaluate --help"
    )


COMMAND = Command(
    name="evaluate",
    example="refquant evaluate float.rq small.rq --data test.npz --layers",
    add_arguments=_add_arguments,
    run=_run,
)
