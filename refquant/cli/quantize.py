"""``refquant quantize``: a float model and a recipe make a quantized model.

Recipes that go layer by layer leave each finished layer in ``OUT.rq.partial``, from which
``--resume`` goes on; the folder disappears when the file is written.
"""

import argparse
import sys
from collections.abc import Iterator
from dataclasses import replace
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
    to_disk,
)
from refquant.cli.data import sample_count
from refquant.cli.models import MODEL, add_part, add_sums, refuse_overwriting, source_bytes
from refquant.cli.samples import Samples, add_arguments, read_samples
from refquant.model.checkpoint import partial_path, remove_checkpoint
from refquant.model.graph import Graph
from refquant.model.layer_by_layer import LayerDone
from refquant.model.loaders.sources import Source, find_source, open_source
from refquant.model.quantize import quantize
from refquant.model.recipe import Recipe, recipe, recipe_names
from refquant.model.rq import write_rq
from refquant.model.states import free_inputs

__all__ = ["COMMAND"]

Arrays = dict[str, NDArray[Any]]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("model", metavar="MODEL", help=f"the float32 model: {MODEL}")
    add_part(parser)
    rules = parser.add_mutually_exclusive_group(required=True)
    names = ", ".join(recipe_names())
    rules.add_argument(
        "--scheme", metavar="NAME", help=f"a recipe that comes with refquant: {names}"
    )
    rules.add_argument(
        "--recipe", metavar="NAME|FILE.toml", help="the same by name, or one of yours"
    )
    parser.add_argument(
        "--calibration", metavar="D.npz|TEXT.txt|FOLDER",
        help="samples, for recipes that look at what the model makes of data: one array an input, "
        "a text for a model of tokens, a folder of .wav files (and their .txt) for Whisper, or of "
        ".npz files, a recording each, for a model with states",
    )  # fmt: skip
    add_arguments(parser)
    parser.add_argument(
        "--few-tokens", action="store_true",
        help="let GPTQ take a calibration of fewer tokens than a layer has inputs, damped",
    )  # fmt: skip
    add_sums(parser, "what the recipe says")
    parser.add_argument("-o", "--output", required=True, metavar="OUT.rq", help="where to write it")
    parser.add_argument(
        "--resume", action="store_true",
        help="go on with the layers that a killed run has left in OUT.rq.partial",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")


def _run(arguments: argparse.Namespace) -> int:
    rules = _rules(arguments)
    check_writable(arguments.output)
    source = find_source(arguments.model)
    refuse_overwriting(arguments.output, [source.file, arguments.calibration, arguments.tokenizer])
    graph = open_source(source, part=arguments.part)
    samples = _calibration(arguments, rules, source, graph)
    partial = partial_path(arguments.output)
    with to_disk(arguments.output, lambda: _remedy(partial)):
        quantized = _quantized(arguments, graph, rules, samples, partial)
        write_rq(arguments.output, quantized)
        remove_checkpoint(partial)
    before, kind = source_bytes(source, graph)
    after = Path(arguments.output).stat().st_size
    if arguments.json:
        print_json(
            {
                "model": arguments.model,
                "part": arguments.part,
                "recipe": rules.name,
                "scheme": rules.scheme,
                "contracts": sorted(quantized.contracts),
                "calibration_samples": samples.count,
                "output": arguments.output,
                "bytes": after,
                "bytes_before": before,
                "bytes_before_of": kind,
                "ratio": before / after,
                "layers": quantized.meta.get("numerics", {}).get("layers", []),
            }
        )
    else:
        of = "" if kind == "file" else f" in {kind}"
        sys.stdout.write(
            f"{plain(arguments.output)}: {after:,} bytes; {plain(arguments.model)} has "
            f"{before:,}{of}\n"
        )
    return 0


def _remedy(partial: Path) -> str:
    """Return what to do when the disk takes no more."""
    if partial.is_dir():
        return f"the finished layers are in {partial}; make room, and go on with --resume"
    return "make room, or give another path"


def _quantized(
    arguments: argparse.Namespace,
    graph: Graph,
    rules: Recipe,
    samples: Samples,
    partial: Path,
) -> Graph:
    """Return the quantized graph; show how far it is, and keep finished layers in ``partial``."""
    if rules.scheme != "weight_only" and not rules.walks:
        with progress() as bar:
            told = _told(graph, samples, bar("calibrate", samples.count))
            # What another job has kept there is refused, not removed.
            return quantize(graph, rules, told, checkpoint=partial, resume=arguments.resume)
    with layer_progress() as show:
        return quantize(
            graph,
            rules,
            samples.batches if rules.needs_data else None,
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


def _calibration(
    arguments: argparse.Namespace, rules: Recipe, source: Source, graph: Graph
) -> Samples:
    """Return the calibration data; none where the recipe needs none."""
    if not rules.needs_data:
        return Samples((), 0)
    if arguments.calibration is None:
        raise UsageError(
            f"recipe {rules.name!r} needs --calibration D.npz with one array for each of the "
            f"inputs {list(free_inputs(graph))}, or a text or recordings; see refquant quantize "
            "--help"
        )
    return read_samples(arguments.calibration, arguments, source, graph)


def _told(graph: Graph, samples: Samples, advance: Advance) -> Iterator[Arrays]:
    """Yield the batches; say how many samples are done when the next one is asked for."""
    for batch in samples.batches:
        yield batch
        advance(sample_count(graph, batch))


def _rules(arguments: argparse.Namespace) -> Recipe:
    name = arguments.scheme or arguments.recipe
    file = arguments.scheme is None and name.endswith(".toml")
    if not file and name not in recipe_names():
        kind, more = ("scheme", "") if arguments.scheme else ("recipe", ", or give a .toml file")
        raise UsageError(f"unknown {kind} {name!r}; there are {', '.join(recipe_names())}{more}")
    rules = recipe(name)
    if arguments.few_tokens:
        rules = _with_few_tokens(rules)
    return rules if arguments.sums is None else replace(rules, sums=arguments.sums)


def _with_few_tokens(rules: Recipe) -> Recipe:
    """Return ``rules`` with the setting ``few_tokens`` of GPTQ; the file will say so."""
    if rules.weights is None or rules.weights.gptq is None:
        raise UsageError(
            f"--few-tokens is for gptq, which is not what {rules.name!r} does; leave it away"
        )
    gptq = replace(rules.weights.gptq, few_tokens=True)
    return replace(rules, weights=replace(rules.weights, gptq=gptq))


COMMAND = Command(
    name="quantize",
    example="refquant quantize model.rq --scheme int8_static "
    "--calibration calibration.npz -o small.rq\n"
    "  refquant quantize minilm/ --scheme int4_gptq --calibration text.txt -o minilm.rq",
    add_arguments=_add_arguments,
    run=_run,
)
