"""``refquant quantize``: a float model and a recipe make a quantized model.

Recipes that go layer by layer leave each finished layer in ``OUT.rq.partial``, from which
``--resume`` goes on; the folder disappears when the file is written.
"""

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
    layer_progress,
    plain,
    print_json,
    progress,
)
from refquant.cli.data import load, read_model, sample_count
from refquant.model.calibrate import STEP
from refquant.model.checkpoint import partial_path, remove_checkpoint
from refquant.model.graph import Graph, has_batch
from refquant.model.layer_by_layer import LayerDone
from refquant.model.quantize import quantize
from refquant.model.recipe import Recipe, recipe, recipe_names
from refquant.model.rq import write_rq

__all__ = ["COMMAND"]

Arrays = dict[str, NDArray[Any]]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL.rq", help="the float32 model")
    rules = parser.add_mutually_exclusive_group(required=True)
    names = ", ".join(recipe_names())
    rules.add_argument(
        "--scheme", metavar="NAME", help=f"a recipe that comes with refquant: {names}"
    )
    rules.add_argument(
        "--recipe", metavar="NAME|FILE.toml", help="the same by name, or one of yours"
    )
    parser.add_argument(
        "--calibration", metavar="D.npz",
        help="samples, one array an input: to choose activations' ranges, and by gptq and awq",
    )  # fmt: skip
    parser.add_argument("-o", "--output", required=True, metavar="OUT.rq", help="where to write it")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the layers that a killed run has left in OUT.rq.partial",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _run(arguments: argparse.Namespace) -> int:
    rules = _rules(arguments)
    check_writable(arguments.output)
    graph = read_model(arguments.model)
    samples, calibration = _calibration(arguments.calibration, graph, rules)
    partial = partial_path(arguments.output)
    quantized = _quantized(arguments, graph, rules, samples, calibration, partial)
    write_rq(arguments.output, quantized)
    remove_checkpoint(partial)
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
                "layers": quantized.meta.get("numerics", {}).get("layers", []),
            }
        )
    else:
        sys.stdout.write(
            f"{plain(arguments.output)}: {after:,} bytes; {plain(arguments.model)} has {before:,}\n"
        )
    return 0


def _quantized(
    arguments: argparse.Namespace,
    graph: Graph,
    rules: Recipe,
    samples: int,
    calibration: Arrays | None,
    partial: Path,
) -> Graph:
    """Return the quantized graph; show how far it is, and keep finished layers in ``partial``."""
    if rules.scheme != "weight_only" and not rules.walks:
        with progress() as bar:
            return quantize(graph, rules, _batches(graph, calibration, bar("calibrate", samples)))
    with layer_progress() as show:
        return quantize(
            graph,
            rules,
            calibration,
            checkpoint=partial,
            resume=arguments.resume,
            report=lambda done: show(done.index, done.count, _line(done)),
        )


def _line(done: LayerDone) -> str:
    """Return what a layer has cost: its number, name, algorithm and loss."""
    record = done.record
    cost = "-" if record["loss"] is None else f"{100 * record['loss']:.3g} %"
    kept = ", from the checkpoint" if done.resumed else ""
    return (
        f"{done.index}/{done.count} {record['node']}: {record['algorithm']} {record['dtype']}, "
        f"loss {cost} of the {record['measure']}{kept}"
    )


def _calibration(path: str | None, graph: Graph, rules: Recipe) -> tuple[int, Arrays | None]:
    """Return the calibration data and their number; none where the recipe needs none."""
    if not rules.needs_data:
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


def _rules(arguments: argparse.Namespace) -> Recipe:
    name = arguments.scheme or arguments.recipe
    file = arguments.scheme is None and name.endswith(".toml")
    if not file and name not in recipe_names():
        kind, more = ("scheme", "") if arguments.scheme else ("recipe", ", or give a .toml file")
        raise UsageError(f"unknown {kind} {name!r}; there are {', '.join(recipe_names())}{more}")
    return recipe(name)


COMMAND = Command(
    name="quantize",
    help="quantize a float model by a recipe",
    example="refquant quantize model.rq --scheme int8_static "
    "--calibration calibration.npz -o small.rq",
    add_arguments=_add_arguments,
    run=_run,
)
