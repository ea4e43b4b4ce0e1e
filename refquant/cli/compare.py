"""``refquant compare``: how far two models are apart on the same data, and where they part.

Outputs first, then every value that both make under one name (`refquant.evaluation.trace`), and
with ``--html`` a page (`refquant.report`).

A quantized output is compared by what its codes mean. Where both models make an output from codes
of one and the same kind (the output itself, or the input of the `DequantizeLinear` before it), the
largest difference of codes is the sharpest number, and is given, too.
"""

import argparse
import math
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import (
    Command,
    UsageError,
    check_writable,
    decimals,
    need_tables,
    plain,
    print_json,
    print_table,
    progress,
    whole_file,
)
from refquant.cli.compare_layers import brief, json_layers, print_layers
from refquant.cli.data import in_reals, load, sample_count
from refquant.cli.evaluate_reference import LOW
from refquant.cli.models import MODEL, add_part, add_sums, read_pair, refuse_overwriting
from refquant.evaluation.difference import same_ruler
from refquant.evaluation.streams import side_by_side
from refquant.evaluation.trace import Trace, trace
from refquant.model.graph import Graph
from refquant.model.loaders.sources import find_source
from refquant.model.metrics import agreement, cosine, max_code_difference, sqnr_db

__all__ = ["COMMAND", "distances"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="A", help=f"what is compared with: {MODEL}")
    parser.add_argument("test", metavar="B", help="what is compared, the same")
    add_part(parser)
    parser.add_argument(
        "--data", required=True, metavar="D.npz", help="one array an input of both models"
    )
    parser.add_argument(
        "--samples", type=_count, metavar="COUNT", help="of the data the first so many (all)"
    )
    add_sums(parser, "ordered")
    parser.add_argument(
        "--threshold", type=_decibels, default=LOW, metavar="DB",
        help=f"point at the first layer below so many dB (default: {LOW:g})",
    )  # fmt: skip
    parser.add_argument(
        "--html", metavar="PAGE", help="write a page with plots, too; needs refquant[report]"
    )
    parser.add_argument(
        "--times", action="store_true",
        help="put the slowest nodes on the page: it is another one after every run, then",
    )  # fmt: skip
    parser.add_argument("--json", action="store_true", help="one JSON object instead of tables")


def _decibels(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of dB; give one like 20")
    return number


def _count(text: str) -> int:
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of samples; give 1 or more")
    return number


def _first(graph: Graph, arguments: argparse.Namespace) -> Mapping[str, NDArray[Any]]:
    """Return the data as ``graph`` takes them, of ``--samples`` samples at most."""
    found = load(arguments.data, graph)[0]
    batch = {name for name in graph.inputs if graph.values[name].shape[:1] == ("N",)}
    return {n: a[: arguments.samples] if n in batch else a for n, a in found.items()}


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.json:
        need_tables()
    if arguments.html is None and arguments.times:
        raise UsageError("--times is for the page; name one by --html, or leave --times away")
    paths = (arguments.reference, arguments.test)
    if arguments.html is not None:
        # here: who wants numbers need not wait for what draws
        from refquant.cli.compare_report import make_page, need_report

        need_report()
        check_writable(arguments.html)
        files = [find_source(path).file for path in paths]
        refuse_overwriting(arguments.html, [*files, arguments.data])
    a, b = read_pair(paths, arguments.part)
    sums = arguments.sums or "ordered"
    _check_names(paths, (a, b))
    data = (_first(a, arguments), _first(b, arguments))
    graphs, inputs = side_by_side((a, b), data, sums=sums)
    _check_names(paths, graphs)
    samples, codes = sample_count(a, data[0]), _common_codes(graphs)
    keep = [frozenset([*graphs[i].outputs, *(pair[i] for pair in codes.values())]) for i in (0, 1)]
    with progress() as bar:
        found = trace(graphs, inputs, keep=(keep[0], keep[1]), sums=sums,
                      advance=bar("both models", samples))  # fmt: skip
        rows = [_row(graphs, found, name, codes.get(name)) for name in graphs[0].outputs]
        if arguments.html is not None:
            page = make_page(arguments, graphs, inputs, found, rows, samples, bar)
            with whole_file(arguments.html) as file:
                file.write(page)
    result = {"a": paths[0], "b": paths[1], "samples": samples, "outputs": rows}
    if arguments.json:
        layers = json_layers(graphs, found, arguments.threshold)
        print_json({**result, **layers, "sums": sums, "html": arguments.html})
    else:
        _print(rows)
        print_layers(paths, found, arguments.threshold)
        if arguments.html is not None:
            sys.stdout.write(f"{plain(arguments.html)}: {len(page):,} bytes\n")
    return 0


def _row(
    graphs: tuple[Graph, Graph], found: Trace, name: str, codes: tuple[str, str] | None
) -> dict[str, Any]:
    """Return the numbers of one output."""
    r, t = (in_reals(graphs[i], name, found.kept[i][name]) for i in (0, 1))
    row = {"output": name, **distances(r, t), "max_code_difference": None}
    if codes is not None:
        pair = (found.kept[i][codes[i]] for i in (0, 1))
        row["max_code_difference"] = max_code_difference(*pair)
    return row


def _check_names(paths: Sequence[str], graphs: Sequence[Graph]) -> None:
    """Refuse models that do not make the same of the same."""
    for kind in ("inputs", "outputs"):
        names = [list(getattr(graph, kind)) for graph in graphs]
        if set(names[0]) != set(names[1]):
            raise ValueError(
                f"{paths[0]} has the {kind} {names[0]} and {paths[1]} {names[1]}; "
                f"compare models of the same {kind}"
            )


def distances(reference: NDArray[Any], test: NDArray[Any]) -> dict[str, Any]:
    """Return how far ``test`` is from ``reference``; None where a number has no meaning or bound.

    ``sqnr_db`` of equal arrays is None (it is infinite), ``agreement`` of what is no list of
    scores a sample.
    """
    if reference.shape != test.shape:
        raise ValueError(
            f"outputs have shapes {list(reference.shape)} and {list(test.shape)}; compare models "
            "that make the same outputs"
        )
    same = reference.dtype == test.dtype and reference.tobytes() == test.tobytes()
    r, t = reference.astype(np.float64), test.astype(np.float64)
    scores = r.ndim == 2 and r.size > 0
    return {
        "identical": same,
        "sqnr_db": _finite(sqnr_db(r, t)),
        "cosine": _finite(cosine(r, t)),
        "agreement": 100 * agreement(r, t) if scores else None,
    }


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _common_codes(graphs: tuple[Graph, Graph]) -> dict[str, tuple[str, str]]:
    """Return output -> the values of both with its codes, if these are comparable."""
    a, b = graphs
    pairs = {name: (_codes(a, name), _codes(b, name)) for name in a.outputs if name in b.outputs}
    return {
        name: pair
        for name, pair in pairs.items()
        if a.values[pair[0]].shape == b.values[pair[1]].shape and same_ruler(graphs, pair)
    }


def _codes(graph: Graph, name: str) -> str:
    """Return the value whose codes the output ``name`` says; itself if there is none."""
    for node in graph.nodes:
        if node.outputs == (name,) and node.op == "DequantizeLinear":
            return node.inputs[0]
    return name


def _print(rows: list[dict[str, Any]]) -> None:
    columns = ["output", "identical", "SQNR dB", "cosine", "max code diff", "agreement %"]
    print_table(
        {c: "left" if c == "output" else "right" for c in columns},
        [
            (
                brief(row["output"]),
                "yes" if row["identical"] else "no",
                "inf" if row["identical"] else decimals(row["sqnr_db"], 2),
                decimals(row["cosine"], 6),
                "-" if row["max_code_difference"] is None else row["max_code_difference"],
                decimals(row["agreement"], 2),
            )
            for row in rows
        ],
    )


COMMAND = Command(
    name="compare",
    example="refquant compare float.rq small.rq --data test.npz --html report.html",
    add_arguments=_add_arguments,
    run=_run,
)
