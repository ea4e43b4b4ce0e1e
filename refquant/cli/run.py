"""``refquant run``: what a model computes, by the golden reference."""

import argparse
import hashlib
import sys
import time

from refquant.cli.common import Command, check_writable, plain, print_json, progress
from refquant.cli.data import load, sample_count, write_npz
from refquant.cli.models import MODEL, add_part, add_sums, refuse_overwriting
from refquant.cli.reference import execute
from refquant.model.loaders.sources import open_model

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"the model: {MODEL}")
    add_part(parser)
    parser.add_argument(
        "--input", required=True, metavar="X.npz",
        help="one array an input, by the input's name; the first axis is the samples, of a model "
        "with states the steps of one stream",
    )  # fmt: skip
    parser.add_argument("--output", metavar="Y.npz", help="where to write one array an output")
    add_sums(parser, "ordered")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.output is not None:
        check_writable(arguments.output)
        refuse_overwriting(arguments.output, [arguments.model, arguments.input])
    graph = open_model(arguments.model, part=arguments.part)
    sums = arguments.sums or "ordered"
    inputs, _ = load(arguments.input, graph)
    samples = sample_count(graph, inputs)
    begin = time.perf_counter()
    with progress() as bar:
        outputs = execute(graph, inputs, bar("reference", samples), sums=sums)
    seconds = time.perf_counter() - begin
    if arguments.output is not None:
        write_npz(arguments.output, outputs)
    described = {
        name: {
            "dtype": str(array.dtype),
            "shape": list(array.shape),
            "sha256": hashlib.sha256(array.tobytes()).hexdigest(),
        }
        for name, array in outputs.items()
    }
    result = {
        "model": arguments.model,
        "samples": samples,
        "seconds": seconds,
        "output": arguments.output,
        "outputs": described,
    }
    if arguments.json:
        print_json(result)
        return 0
    sys.stdout.write(f"{samples:,} samples in {seconds:.2f} s, by the reference\n")
    for name, array in described.items():
        sys.stdout.write(f"{plain(name)}: {array['dtype']} {array['shape']}, "
                         f"sha256 {array['sha256']}\n")  # fmt: skip
    if arguments.output is not None:
        sys.stdout.write(f"written to {plain(arguments.output)}\n")
    return 0


COMMAND = Command(
    name="run",
    example="refquant run model.rq --input x.npz --output y.npz",
    add_arguments=_add_arguments,
    run=_run,
)
