"""``refquant evaluate``: how often a model is right, by the golden reference."""

import argparse
import sys

from refquant.cli.common import Command, decimals, plain, print_json, progress
from refquant.cli.data import in_reals, load, read_model, sample_count
from refquant.cli.reference import execute
from refquant.model.graph import Graph
from refquant.model.metrics import accuracy

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.rq", help="the model, a classifier")
    parser.add_argument(
        "--data", required=True, metavar="D.npz",
        help="one array an input, and 'labels': for each sample the number of its class",
    )  # fmt: skip
    parser.add_argument(
        "--scores", metavar="NAME",
        help="the output that holds a score for each class (needed where there are several)",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _run(arguments: argparse.Namespace) -> int:
    graph = read_model(arguments.model)
    scores = _scores(graph, arguments.scores)
    inputs, labels = load(arguments.data, graph, labels=True)
    assert labels is not None, "asked for"
    classes = graph.values[scores].shape[-1]
    if labels.min() < 0 or labels.max() >= int(classes):
        raise ValueError(
            f"{arguments.data}: 'labels' must be from 0 to {int(classes) - 1}, the classes of "
            f"output {scores!r}, got {int(labels.min())} to {int(labels.max())}"
        )
    samples = sample_count(graph, inputs)
    with progress() as bar:
        outputs = execute(graph, inputs, bar("reference", samples))
    top1 = 100 * accuracy(in_reals(graph, scores, outputs[scores]), labels)
    if arguments.json:
        print_json(
            {
                "model": arguments.model,
                "metric": "top1",
                "value": top1,
                "context": None,  # of a language model: the tokens it sees at a time
                "samples": samples,
                "unit": "percent",
            }
        )
    else:
        sys.stdout.write(
            f"{plain(arguments.model)}: top-1 {decimals(top1, 2)} % of {samples:,} samples\n"
        )
    return 0


def _scores(graph: Graph, name: str | None) -> str:
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
            "evaluate takes classifiers"
        )
    return chosen


COMMAND = Command(
    name="evaluate",
    help="measure a classifier's top-1 accuracy on labelled data",
    example="refquant evaluate model.rq --data test.npz --json",
    add_arguments=_add_arguments,
    run=_run,
)
