"""The page: a matrix of operators and backends, and behind each cell what was found there.

One file, without a script, a picture or a connection: links go to places in the page, and what is
long is folded. jinja2, the extra ``refquant-conformance[report]``, is imported here only.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from importlib.resources import files
from typing import Any

from refquant_conformance.report.definitions import AXES, define
from refquant_conformance.report.standing import ENOUGH, cell_standing, standing
from refquant_conformance.report.unlike import first_unlike
from refquant_conformance.verdict import RED, VERDICTS

__all__ = ["NEEDS_JINJA", "page"]

NEEDS_JINJA = "the page needs the library jinja2; run: pip install 'refquant-conformance[report]'"

Report = Mapping[str, Any]

_ORDER = (*[v for v in reversed(VERDICTS) if v in RED], "DEVIATES_DOCUMENTED",
          "BIT_EXACT_CONTRACT", "BIT_EXACT", "WITHIN_BOUND", "UNSUPPORTED",
          "SPEC_AMBIGUOUS")  # fmt: skip
"""A cell of the matrix shows the first of these that one of its lines has: what is red, then what
is exact. Where a specification is silent stands below it, as a note."""
_NOTED = {"UNSUPPORTED": "not computed", "SPEC_AMBIGUOUS": "where the specification is silent"}


def page(reports: Sequence[Report]) -> bytes:
    """Return the page of some reports, each made by ``document``, in UTF-8.

    The same reports give the same bytes. ``ModuleNotFoundError`` names the extra that is missing.
    """
    try:
        from jinja2 import Environment, StrictUndefined, UndefinedError
    except ModuleNotFoundError:
        raise ModuleNotFoundError(NEEDS_JINJA) from None
    source = files("refquant_conformance.report").joinpath("page.html.jinja")
    environment = Environment(
        autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    made = environment.from_string(source.read_text(encoding="utf-8"))
    backends = [_backend(number, report) for number, report in enumerate(reports)]
    rows = list(dict.fromkeys(key for backend in backends for key in backend["cells"]))
    contents = {"backends": backends, "rows": rows, "axes": AXES, "red": RED}
    try:
        return made.render(contents, unlike=first_unlike).encode("utf-8")
    except UndefinedError as error:  # the report was not made by `document`
        raise KeyError(str(error)) from None


def _backend(number: int, report: Report) -> dict[str, Any]:
    """Gather the lines of a report by operator and scheme."""
    cells: dict[tuple[str, str], dict[str, Any]] = {}
    for one in report["identified"]:
        cells[one["op"], one["scheme"]] = {"lines": [], "found": one}
    for line in report["results"]:
        key = (line["op"], line["scheme"])
        cells.setdefault(key, {"lines": [], "found": None})["lines"].append(line)
    for (op, scheme), cell in cells.items():
        verdicts = [line["verdict"] for line in cell["lines"]]
        cell["headline"] = min(verdicts, key=_ORDER.index, default="")
        cell["notes"] = _notes(cell["headline"], Counter(verdicts))
        cell["anchor"] = f"b{number}-{op}-{scheme}"
        cell["op"], cell["scheme"] = op, scheme
        cell["cases"] = sum(line["cases"] for line in cell["lines"])
        found = cell["found"]
        axes = (found["axes"] or found["nearest"] or {}) if found else {}
        cell["contract"] = [(a, v, define(a, v)) for a, v in axes.items()]
        spec = found.get("spec", {}) if found else {}
        differ = {a for a, v in axes.items() if spec.get(a) not in (None, v)}
        cell["evidence"] = [
            item
            for item in (found["evidence"] if found else [])
            if item["axis"] in differ and item["value"] == spec[item["axis"]]
        ]
        cell["standing"] = cell_standing(found, cell["lines"]) if found else ""
        cell["shown"] = [line for line in cell["lines"] if line["verdict"] != "BIT_EXACT"]
    return {
        **report["backend"],
        **{"cells": cells, "report": report, "standing": standing(report), "enough": ENOUGH},
    }


def _notes(headline: str, counts: Mapping[str, int]) -> list[str]:
    """Return what a cell says below its headline: how many lines are red, not computed, silent."""
    notes = [f"{counts[headline]} properties"] if headline in RED and counts[headline] > 1 else []
    told = (v for v in (*_NOTED, "DEVIATES_DOCUMENTED") if counts[v] and v != headline)
    return [*notes, *(f"{counts[v]} {_NOTED.get(v, 'documented deviations')}" for v in told)]
