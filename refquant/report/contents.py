"""Everything that the page says, as plain data: what the template is given.

Names have passed `refquant.report.text.shown`; the template escapes them. Figures are `<svg>`
elements that hold none.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refquant.evaluation.difference import Place
from refquant.evaluation.trace import Trace, Traced, below, first_divergence, slowest, worst
from refquant.evaluation.walk import Arrays
from refquant.model.card import versions
from refquant.model.graph import Graph
from refquant.report.cards import card_of
from refquant.report.figures import CHANNELS, FIGURES, activations, outlier_rows, weight_figures
from refquant.report.plots import plot_errors, plot_sizes
from refquant.report.sizes import breakdown, largest
from refquant.report.text import number, shown

__all__ = ["Data", "Subject", "contents"]

_FEW, _TENSORS = 5, 15


@dataclass(frozen=True, slots=True)
class Subject:
    """A model: where it is, its graph, and of the file its bytes and SHA-256.

    ``own_format``: a `.rq` file, whose bytes are those of the graph and its constants.
    """

    path: str
    graph: Graph
    file_bytes: int
    sha256: str
    own_format: bool


@dataclass(frozen=True, slots=True)
class Data:
    """What both were run on, and how: ``inputs`` as each takes them."""

    path: str
    sha256: str
    samples: int
    inputs: tuple[Arrays, Arrays]
    sums: str


def contents(
    subjects: tuple[Subject, Subject],
    data: Data,
    found: Trace,
    outputs: Sequence[Mapping[str, Any]],
    *,
    threshold: float,
    times: bool,
    advance: Callable[[int], None] = lambda done: None,
) -> dict[str, Any]:
    """Return what the template of `refquant.report.page` is given.

    ``outputs`` has a row an output: ``output``, ``identical``, ``sqnr_db``, ``cosine``,
    ``agreement``, ``max_code_difference``. Layers below ``threshold`` dB are pointed at. The data
    go through both models once more, for the histograms; ``advance`` as in
    `refquant.evaluation.trace.trace`. With ``times`` the page has the slowest nodes.

    >>> import numpy as np
    >>> from refquant.evaluation.trace import trace
    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> g = b.graph([b.node("Relu", [b.input("x", ("N", 2))], name="y")])
    >>> x, none = {"x": np.float32([[1, -1]])}, frozenset()
    >>> data = Data("d.npz", "0" * 64, 1, (x, x), "ordered")
    >>> one = Subject("g.rq", g, 10, "0" * 64, True)
    >>> found = trace((g, g), (x, x), keep=(none, none), sums="ordered")
    >>> made = contents((one, one), data, found, [], threshold=20.0, times=False)
    >>> made["divergence"] is None, made["layers"][0]["sqnr"]
    (True, 'inf')
    """
    graphs = (subjects[0].graph, subjects[1].graph)
    values = found.values
    sizes = _sizes(subjects)
    histograms, chosen = activations(graphs, data.inputs, values, data.sums, advance)
    outliers = outlier_rows(values)
    return {
        "models": [_model(subject) for subject in subjects],
        "data": {"path": shown(data.path), "sha256": data.sha256, "samples": f"{data.samples:,}",
                 "sums": data.sums},
        "threshold": f"{threshold:g}",
        **_findings(found, threshold),
        "outputs": [_output(row) for row in outputs],
        "layers": _layers(found),
        "layer_count": len(values),
        "errors_plot": plot_errors(
            [each.sqnr_db for each in values], [each.adds for each in values], threshold, "errors"
        ) if values else None,
        "histograms": histograms,
        "weights": weight_figures(graphs, chosen),
        "cap": FIGURES,
        "outliers": outliers,
        "channels_cap": CHANNELS,
        "sizes": sizes,
        "sizes_plot": plot_sizes([(r["kind"], r["a"], r["b"]) for r in sizes], "sizes"),
        "tensors": _tensors(graphs),
        "tensors_cap": _TENSORS,
        "cards": [card_of(graph) for graph in graphs],
        "times": [_times(found, i, graphs[i]) for i in (0, 1)] if times else None,
        "versions": versions(numpy=True),
    }  # fmt: skip


def _model(subject: Subject) -> dict[str, Any]:
    graph = subject.graph

    def signature(names: Sequence[str]) -> list[tuple[str, str]]:
        return [
            (shown(n), f"{graph.values[n].dtype}[{', '.join(map(str, graph.values[n].shape))}]")
            for n in names
        ]

    return {
        "path": shown(subject.path, 240),
        "name": shown(graph.name),
        "bytes": f"{subject.file_bytes:,}",
        "sha256": subject.sha256,
        "nodes": f"{len(graph.nodes):,}",
        "elements": f"{sum(array.size for array in graph.constants.values()):,}",
        "inputs": signature(graph.inputs),
        "outputs": signature(graph.outputs),
    }


def _findings(found: Trace, threshold: float) -> dict[str, Any]:
    """Return where to look: what differs first, what is bad first, and who adds most."""
    first, low = first_divergence(found), below(found, threshold)
    place = None if first is None else first.difference.first
    numbers = {each.value: i for i, each in enumerate(found.values, 1)}
    return {
        "divergence": None if first is None or place is None else {
            "number": numbers[first.value], "value": shown(first.value), "op": shown(first.op),
            **_place(place),
        },
        "below": None if low is None else {
            "number": numbers[low.value], "value": shown(low.value),
            "sqnr": number(low.sqnr_db, ".2f"),
        },
        "worst": [
            {"number": numbers[each.value], "value": shown(each.value), "adds": _percent(each.adds)}
            for each in worst(found, _FEW)
        ],
    }  # fmt: skip


def _place(place: Place) -> dict[str, str]:
    return {
        "index": f"[{', '.join(map(str, place.index))}]",
        "a": f"{place.reference:.9g}",
        "b": f"{place.test:.9g}",
    }


def _output(row: Mapping[str, Any]) -> dict[str, Any]:
    code, agree = row["max_code_difference"], row["agreement"]
    return {
        "output": shown(row["output"]),
        "identical": row["identical"],
        "sqnr": "inf" if row["identical"] else number(row["sqnr_db"], ".2f"),
        "cosine": number(row["cosine"], ".6f"),
        "code": "-" if code is None else str(code),
        "agreement": number(agree, ".2f"),
    }


def _layers(found: Trace) -> list[dict[str, Any]]:
    first = first_divergence(found)
    most = {each.value for each in worst(found, _FEW)}
    return [
        {
            **_errors(each),
            "first": first is not None and each.value == first.value,
            "worst": each.value in most,
        }
        for each in found.values
    ]


def _errors(each: Traced) -> dict[str, Any]:
    d, errors = each.difference, each.difference.errors
    return {
        "value": shown(each.value),
        "op": shown(each.op),
        "differ": _share(d.differing, d.elements),
        "code": "-" if d.max_code_difference is None else str(d.max_code_difference),
        "sqnr": number(each.sqnr_db, ".2f"),
        "cosine": number(None if errors is None else errors.cosine, ".6f"),
        "largest": number(None if errors is None else errors.largest, ".3g"),
        "adds": _percent(each.adds),
        "not_finite": d.not_finite,
    }


def _percent(adds: float | None) -> str:
    return "-" if adds is None else "inf" if math.isinf(adds) else f"{100 * adds + 0.0:.3g} %"


def _share(part: int, whole: int) -> str:
    """Return a percentage that is 0 or 100 only if none or all are meant."""
    if part in (0, whole):
        return "100 %" if part else "0"
    return f"{min(max(100 * part / whole, 0.01), 99.99):.2f} %"


def _sizes(subjects: tuple[Subject, Subject]) -> list[dict[str, Any]]:
    both = [breakdown(s.graph, s.file_bytes if s.own_format else None) for s in subjects]
    names = sorted({*both[0], *both[1]}, key=lambda n: ("wpog".index(n[0]), n))  # weights first
    return [{"kind": name, "a": both[0].get(name, 0), "b": both[1].get(name, 0)} for name in names]


def _tensors(graphs: tuple[Graph, Graph]) -> list[dict[str, str]]:
    return [
        {
            "name": shown(name),
            **{w: f"{sides[w][1]:,} ({sides[w][0]})" if w in sides else "-" for w in "ab"},
        }
        for name, sides in largest(*graphs, _TENSORS)
    ]


def _times(found: Trace, which: int, graph: Graph) -> list[tuple[str, str, str]]:
    ops = {node.name: node.op for node in graph.nodes}
    return [
        (shown(name), shown(ops[name]), f"{1000 * seconds:.3g}")
        for name, seconds in slowest(found.seconds[which], 2 * _FEW)
    ]
