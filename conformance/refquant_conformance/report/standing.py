"""What of a backend is certain: cells that have a name, and how many elements stand behind it.

A cell is *identified* if a contract explains every answer to its probes. It is *exact* if besides
at least :data:`ENOUGH` elements were equal to what that contract computes, and none was another.
The rest has a counterexample, or fewer elements, or was not computed at all; each is counted apart.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from refquant_conformance.properties.many import ENOUGH

__all__ = ["ENOUGH", "Standing", "cell_standing", "standing", "standing_table"]

Report = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Standing:
    """How many cells of a report are how certain."""

    cells: int = 0
    identified: int = 0
    exact: int = 0
    few: int = 0
    refuted: int = 0
    silent: int = 0

    def __add__(self, other: "Standing") -> "Standing":
        """Return the cells of both.

        >>> Standing(2, 1, 1, refuted=1) + Standing(1, 1, few=1)
        Standing(cells=3, identified=2, exact=1, few=1, refuted=1, silent=0)
        """
        return Standing(
            *(getattr(self, n) + getattr(other, n) for n in Standing.__dataclass_fields__)
        )


def cell_standing(found: Mapping[str, Any], lines: Sequence[Mapping[str, Any]]) -> str:
    """Return ``exact``, ``few``, ``refuted`` or ``silent`` for one cell of a report.

    ``found`` is its identification, ``lines`` what its properties say. A law that is broken under
    other settings or in another memory layout refutes no contract.

    >>> cell_standing({"axes": {}, "nearest": None, "compared": 7}, [])
    'few'
    """
    if found["axes"] is None:
        return "refuted" if found["nearest"] is not None else "silent"
    wrong = any(line["verdict"] == "FAILS" and not line["counterexample"]["law"] for line in lines)
    if wrong:
        return "refuted"
    return "exact" if found["compared"] >= ENOUGH else "few"


def standing(report: Report) -> Standing:
    """Count the cells of a report."""
    lines: dict[tuple[str, str], list[Any]] = {}
    for line in report["results"]:
        lines.setdefault((line["op"], line["scheme"]), []).append(line)
    total = Standing()
    for found in report["identified"]:
        kind = cell_standing(found, lines.get((found["op"], found["scheme"]), []))
        named = int(found["axes"] is not None)
        total += Standing(cells=1, identified=named, **{kind: 1})
    return total


def standing_table(reports: Sequence[Report]) -> str:
    """Return the summary over all backends as a table of Markdown."""
    rows = [(f"{r['backend']['name']} {r['backend']['version']}", standing(r)) for r in reports]
    total = sum((row for _, row in rows), Standing())
    titles = ("backend", "cells", "identified", "exact", "fewer", "refuted", "not computed")
    lines = [f"| {' | '.join(titles)} |", "|---|" + "---:|" * (len(titles) - 1)]
    for name, row in (*rows, ("**all**", total)):
        shares = (
            f"{count} ({count / row.cells:.0%})" if row.cells else "0"
            for count in (row.identified, row.exact)
        )
        counts = (row.cells, *shares, row.few, row.refuted, row.silent)
        lines.append(f"| {name} | {' | '.join(map(str, counts))} |")
    return "\n".join(lines) + "\n"
