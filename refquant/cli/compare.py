"""``refquant compare``: how far two models' outputs are apart, on the same data.

A quantized output is compared by what its codes mean. Where both models make an output from codes
of one and the same kind (the output itself, or the input of the `DequantizeLinear` before it), the
largest difference of codes is the sharpest number, and is given, too.
"""

import argparse
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.cli.common import (
    Command,
    decimals,
    need_tables,
    plain,
    print_json,
    print_table,
    progress,
)
from refquant.cli.data import in_reals, load, sample_count
from refquant.cli.models import MODEL, add_part, add_sums, read_pair
from refquant.cli.reference import execute
from refquant.model.graph import Graph
from refquant.model.metrics import agreement, cosine, max_code_difference, sqnr_db

__all__ = ["COMMAND", "distances"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reference", metavar="A", help=f"what is compared with: {MODEL}")
    parser.add_argument("test", metavar="B", help="what is compared, the same")
    add_part(parser)
    parser.add_argument(
        "--data", required=True, metavar="D.npz", help="one array an input of both models"
    )
    add_sums(parser, "ordered")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of a table")


def _run(arguments: argparse.Namespace) -> int:
    if not arguments.json:
        need_tables()
    paths = (arguments.reference, arguments.test)
    graphs = read_pair(paths, arguments.part)
    sums = arguments.sums or "ordered"
    _check_names(paths, graphs)
    inputs = [load(arguments.data, graph)[0] for graph in graphs]
    samples = sample_count(graphs[0], inputs[0])
    codes = _common_codes(*graphs)
    with progress() as bar:
        bars = [bar(path, samples) for path in paths]
        results = [
            execute(
                graphs[i], inputs[i], bars[i], keep=[pair[i] for pair in codes.values()], sums=sums
            )
            for i in (0, 1)
        ]
    rows = []
    for name in graphs[0].outputs:
        reals = (in_reals(graphs[i], name, results[i][name]) for i in (0, 1))
        row = {"output": name, **distances(*reals), "max_code_difference": None}
        if name in codes:
            pair = (results[i][codes[name][i]] for i in (0, 1))
            row["max_code_difference"] = max_code_difference(*pair)
        rows.append(row)
    if arguments.json:
        print_json({"a": paths[0], "b": paths[1], "samples": samples, "outputs": rows})
    else:
        _print(rows)
    return 0


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


def _common_codes(a: Graph, b: Graph) -> dict[str, tuple[str, str]]:
    """Return output -> the values of ``a`` and of ``b`` with its codes, if these are comparable."""
    pairs = {name: (_codes(a, name), _codes(b, name)) for name in a.outputs if name in b.outputs}
    return {
        name: pair
        for name, pair in pairs.items()
        if a.values[pair[0]].quant is not None and a.values[pair[0]] == b.values[pair[1]]
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
                plain(row["output"]),
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
    help="compare the outputs of two models on the same data",
    example="refquant compare float.rq small.rq --data test.npz",
    add_arguments=_add_arguments,
    run=_run,
)
