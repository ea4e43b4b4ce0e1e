"""``refquant compare --html``: the page, from what the command has in hand."""

import argparse
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from refquant.cli.common import Progress
from refquant.evaluation.trace import Trace
from refquant.evaluation.walk import Arrays
from refquant.model.graph import Graph
from refquant.model.loaders.sources import find_source
from refquant.report.contents import Data, Subject, contents
from refquant.report.page import need_jinja, render
from refquant.report.svg import need_matplotlib

__all__ = ["make_page", "need_report"]


def need_report() -> None:
    """Refuse to begin long work whose page could not be written."""
    for need in (need_jinja, need_matplotlib):
        try:
            need()
        except ModuleNotFoundError as error:
            raise ValueError(f"{error}, or leave --html away") from error


def make_page(
    arguments: argparse.Namespace,
    graphs: tuple[Graph, Graph],
    inputs: tuple[Arrays, Arrays],
    found: Trace,
    outputs: Sequence[Mapping[str, Any]],
    samples: int,
    bar: Progress,
) -> bytes:
    """Return the page of a finished comparison; the data go through both models once more."""
    data = Data(
        arguments.data, _sha256(arguments.data), samples, inputs, arguments.sums or "ordered"
    )
    return render(
        contents(
            (_subject(arguments.reference, graphs[0]), _subject(arguments.test, graphs[1])),
            data,
            found,
            outputs,
            threshold=arguments.threshold,
            times=arguments.times,
            advance=bar("histograms", samples),
        )
    )


def _subject(path: str, graph: Graph) -> Subject:
    source = find_source(path)
    size = source.file.stat().st_size
    return Subject(path, graph, size, _sha256(str(source.file)), source.loader == "rq")


def _sha256(path: str) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
