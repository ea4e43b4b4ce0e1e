"""``refquant quantize``: a float model and a recipe make a quantized model."""

import argparse
import sys
from pathlib import Path

from refquant.cli.common import Command, UsageError, plain, print_json, progress
from refquant.cli.data import load, sample_count
from refquant.model.quantize import quantize
from refquant.model.recipe import Recipe, recipe, recipe_names
from refquant.model.rq import read_rq, write_rq

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.rq", help="the float32 model")
    parser.add_argument(
        "--recipe", required=True, metavar="NAME|FILE.toml",
        help=f"a recipe that comes with refquant ({', '.join(recipe_names())}), or one of yours",
    )  # fmt: skip
    parser.add_argument(
        "--calibration", metavar="D.npz",
        help="samples to choose activations' ranges by, one array an input (static schemes)",
    )  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="OUT.rq", help="where to write it")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _run(arguments: argparse.Namespace) -> int:
    rules = _recipe(arguments.recipe)
    output = Path(arguments.output)
    if output.is_dir() or not output.parent.is_dir():  # before the work, not after it
        raise ValueError(
            f"{output}: cannot be written; give the path of a file in a folder that exists"
        )
    graph = read_rq(arguments.model)
    calibration, samples = None, 0
    if rules.activations is not None:
        if arguments.calibration is None:
            raise UsageError(
                f"recipe {rules.name!r} needs --calibration D.npz with one array for each of the "
                f"inputs {list(graph.inputs)}"
            )
        calibration, _ = load(arguments.calibration, graph)
        samples = sample_count(graph, calibration)
    with progress() as bar:
        advance = bar(f"quantize by {rules.name}", 1)
        quantized = quantize(graph, rules, calibration)
        advance(1)
    write_rq(output, quantized)
    before, after = Path(arguments.model).stat().st_size, output.stat().st_size
    result = {
        "model": arguments.model,
        "recipe": rules.name,
        "scheme": rules.scheme,
        "contracts": sorted(quantized.contracts),
        "calibration_samples": samples,
        "output": arguments.output,
        "bytes": after,
        "bytes_before": before,
        "ratio": before / after,
    }
    if arguments.json:
        print_json(result)
        return 0
    sys.stdout.write(f"{plain(output)}: {after:,} bytes, {before / after:.2f}x smaller than "
                     f"{plain(arguments.model)}\n")  # fmt: skip
    return 0


def _recipe(name: str) -> Recipe:
    if not name.endswith(".toml") and name not in recipe_names():
        raise UsageError(
            f"unknown recipe {name!r}; there are {', '.join(recipe_names())}, or give a .toml file"
        )
    return recipe(name)


COMMAND = Command(
    name="quantize",
    help="quantize a float model by a recipe",
    example="refquant quantize model.rq --recipe w8a8_static_per_channel "
    "--calibration calibration.npz -o small.rq",
    add_arguments=_add_arguments,
    run=_run,
)
