"""Comparisons for the tests of the page."""

from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from refquant.evaluation.trace import Trace, trace
from refquant.model.graph import Graph
from refquant.report.contents import Data, Subject, contents
from tests.refquant.report.html_page import Page, read

NONE: frozenset[str] = frozenset()


def subject(graph: Graph, path: str = "a.rq") -> Subject:
    return Subject(path, graph, 10**6, "ab" * 32, True)


def traced(a: Graph, b: Graph, x: Mapping[str, NDArray[Any]]) -> Trace:
    return trace((a, b), (x, x), keep=(NONE, NONE), sums="ordered")


def page_data(
    a: Graph, b: Graph, x: Mapping[str, NDArray[Any]], *, times: bool = False, path: str = "a.rq"
) -> dict[str, Any]:
    """What the template is given, with one row of outputs."""
    row = {"output": "y", "identical": False, "sqnr_db": None, "cosine": None, "agreement": None,
           "max_code_difference": None}  # fmt: skip
    data = Data("d.npz", "cd" * 32, len(next(iter(x.values()))), (x, x), "ordered")
    return contents(
        (subject(a, path), subject(b, "b.rq")), data, traced(a, b, x), [row],
        threshold=20.0, times=times,
    )  # fmt: skip


def page(a: Graph, b: Graph, x: Mapping[str, NDArray[Any]], *, times: bool = False) -> Page:
    """The rendered page, parsed."""
    from refquant.report.page import render

    return read(render(page_data(a, b, x, times=times)))
