"""``refquant quantize``: a float model and a recipe make a quantized model."""

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from refquant.cli.common import (
    Advance,
    Command,
    UsageError,
    check_writable,
    plain,
    print_json,
    progress,
)
from refquant.cli.data import load, read_model, sample_count
from refquant.model.calibrate import STEP
from refquant.model.graph import Graph, has_batch
from refquant.model.quantize import quantize
from refquant.model.recipe import Recipe, recipe, recipe_names
from refquant.model.rq import write_rq

__all__ = ["COMMAND"]

Arrays = dict[str, NDArray[Any]]


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
    check_writable(arguments.output)
    graph = read_model(arguments.model)
    samples, calibration = _calibration(arguments.calibration, graph, rules)
    with progress() as bar:
        advance = bar("calibrate", samples)
        quantized = quantize(graph, rules, _batches(graph, calibration, advance))
    write_rq(arguments.output, quantized)
    before, after = (Path(p).stat().st_size for p in (arguments.model, arguments.output))
    if arguments.json:
        print_json(
            {
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
        )
    else:
        sys.stdout.write(
            f"{plain(arguments.output)}: {after:,} bytes; {plain(arguments.model)} has {before:,}\n"
        )
    return 0


def _calibration(path: str | None, graph: Graph, rules: Recipe) -> tuple[int, Arrays | None]:
    """Return the calibration data and their number; none where the recipe needs none."""
    if rules.activations is None:
        return 0, None
    if path is None:
        raise UsageError(
            f"recipe {rules.name!r} needs --calibration D.npz with one array for each of the "
            f"inputs {list(graph.inputs)}"
        )
    arrays, _ = load(path, graph)
    return sample_count(graph, arrays), arrays


def _batches(graph: Graph, arrays: Arrays | None, advance: Advance) -> Iterator[Arrays]:
    """Yield the data in the steps that calibration takes anyway, which does not change a bit."""
    if arrays is not None and not has_batch(graph):
        yield arrays
    elif arrays is not None:
        for begin in range(0, sample_count(graph, arrays), STEP):
            batch = {name: array[begin : begin + STEP] for name, array in arrays.items()}
            yield batch
            advance(sample_count(graph, batch))


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
