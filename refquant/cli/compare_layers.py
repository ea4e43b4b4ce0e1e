"""Values of two models side by side, as JSON and as a table, and where to look."""

import sys
from typing import Any

from refquant.cli.common import decimals, plain, print_table
from refquant.cli.evaluate_result import real, shown
from refquant.evaluation.difference import Place
from refquant.evaluation.trace import Trace, Traced, below, first_divergence, slowest, worst
from refquant.model.graph import Graph
from refquant.report.text import shown as name_shown

__all__ = ["FEW", "brief", "json_layers", "print_layers", "share", "words"]

FEW = 5
"""Values and nodes that are pointed at: those that add most noise, and that take longest."""

_WIDE = 64  # characters of a name in a table: converters chain all that they have fused


def json_layers(graphs: tuple[Graph, Graph], found: Trace, threshold: float) -> dict[str, Any]:
    """Return the keys about layers."""
    first, low = first_divergence(found), below(found, threshold)
    ops = [{node.name: node.op for node in graph.nodes} for graph in graphs]
    return {
        "layers": [_row(each) for each in found.values],
        "first_divergence": None if first is None else _first(first),
        "threshold_db": threshold,
        "first_below": None if low is None else low.value,
        "worst": [each.value for each in worst(found, FEW)],
        "slowest": {
            which: [
                {"node": name, "op": ops[i][name], "seconds": seconds}
                for name, seconds in slowest(found.seconds[i], FEW)
            ]
            for i, which in enumerate("ab")
        },
        "seconds": {which: sum(found.seconds[i].values()) for i, which in enumerate("ab")},
    }


def _row(each: Traced) -> dict[str, Any]:
    d, errors = each.difference, each.difference.errors
    return {
        "value": each.value,
        "op": each.op,
        "elements": d.elements,
        "differing": d.differing,
        "sqnr_db": None if errors is None else real(errors.sqnr_db),
        "cosine": None if errors is None else real(errors.cosine),
        "max_abs_error": None if errors is None else real(errors.largest),
        "adds": None if each.adds is None else real(each.adds),
        "max_code_difference": d.max_code_difference,
        "not_finite": list(d.not_finite),
    }


def _first(each: Traced) -> dict[str, Any]:
    place = each.difference.first
    assert place is not None, "an element differs"
    return {
        "value": each.value,
        "op": each.op,
        "index": list(place.index),
        "a": real(place.reference),
        "b": real(place.test),
    }


def print_layers(paths: tuple[str, str], found: Trace, threshold: float) -> None:
    """Print a line a value, and where to look."""
    write = sys.stdout.write
    if not found.values:
        write("\nno node of both makes a value of one name and shape: there are no layers\n")
    else:
        write("\n")
        columns = {"layer": "right", "output": "left", "operator": "left", "differ %": "right"}
        columns |= dict.fromkeys(("SQNR dB", "cosine", "max code diff", "adds %"), "right")
        print_table(columns, [_line(i, each) for i, each in enumerate(found.values, 1)])
        write("\n")
        _print_findings(found, threshold)
    for path, seconds in zip(paths, found.seconds, strict=True):
        nodes = ", ".join(
            f"{name_shown(name)} {1000 * took:.3g}" for name, took in slowest(seconds, FEW)
        )
        write(f"slowest in {plain(path)}, ms of the reference executor: {nodes or 'no nodes'}\n")


def _print_findings(found: Trace, threshold: float) -> None:
    write = sys.stdout.write
    first, low, most = first_divergence(found), below(found, threshold), worst(found, FEW)
    if first is None:
        write("no divergence: all layers are the same, bit for bit\n")
        return
    place = first.difference.first
    assert place is not None, "an element differs"
    numbers = {each.value: i for i, each in enumerate(found.values, 1)}

    def said(each: Traced) -> str:
        return f"layer {numbers[each.value]}, {name_shown(each.value)}"

    write(f"first divergence: {said(first)} ({first.op}), {words(place)}\n")
    if low is None:
        write(f"no layer is below {decimals(threshold, 1)} dB\n")
    else:
        write(f"the first below {decimals(threshold, 1)} dB: {said(low)}\n")
    if most:
        parts = (f"{said(each)} {_percent(each.adds)}" for each in most)
        write(f"the worst, by what they add: {'; '.join(parts)}\n")


def words(place: Place) -> str:
    """Return where it is and what both make there."""
    where = ", ".join(map(str, place.index))
    return f"at [{where}]: {place.reference:.9g} in A, {place.test:.9g} in B"


def _line(number: int, each: Traced) -> tuple[str, ...]:
    d, errors = each.difference, each.difference.errors
    return (
        str(number),
        brief(each.value),
        each.op,
        share(d.differing, d.elements),
        "-" if errors is None else shown(errors.sqnr_db, 2),
        "-" if errors is None else shown(errors.cosine, 6),
        "-" if d.max_code_difference is None else str(d.max_code_difference),
        _percent(each.adds),
    )


def share(part: int, whole: int) -> str:
    """Return a percentage that is 0 or 100 only if none or all are meant."""
    if part in (0, whole):
        return "100" if part else "0"
    return f"{min(max(100 * part / whole, 0.01), 99.99):.2f}"


def brief(name: str) -> str:
    """Return ``name`` for a table: nothing unprintable, and no wider than a screen."""
    return name_shown(name, _WIDE)


def _percent(adds: float | None) -> str:
    return "-" if adds is None else f"{shown(100 * adds, 3)} %"
