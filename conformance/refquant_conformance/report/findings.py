"""The findings as a page of Markdown: where released backends leave their specification.

Three kinds of line, all from reports: another contract than the specification's, with the input
that shows it; a property that fails, with its counterexample; a place where the specification is
silent, with what was seen. Crashes, and lines that ``threads.toml`` calls private, are left out:
whoever finds one tells the vendor first.

``threads.toml`` beside this file knows upstream discussions. It adds a link and nothing else: a
line is there because it was seen in this run.
"""

import fnmatch
import math
import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib.resources import files
from typing import Any

from refquant_conformance.report.standing import ENOUGH, standing_table
from refquant_conformance.report.unlike import first_unlike

__all__ = ["findings"]

Report = Mapping[str, Any]

_SHOWN = 4  # numbers of an array: a table is no place for thousands

_HEAD = """# Findings

Where released backends leave the specification of an operator, as `make conformance` measured it.
The page is made by `refquant-conformance report REPORTS --findings`. None of it says that a backend
is wrong: most compute another arithmetic, which has a name. What crashes a process is not listed.

A cell is an operator in one scheme. *Identified*: one contract explains every answer to what tells
contracts apart. *Exact*: besides, {enough:,} elements or more were what it computes, and none was
not. *Fewer*: none was not, of fewer elements. *Refuted*: there is a counterexample.

"""


def findings(reports: Sequence[Report]) -> str:
    """Return the page; backends in the order of ``reports``.

    >>> print(findings([]).splitlines()[0])
    # Findings
    """
    known = tomllib.loads(
        files("refquant_conformance.report").joinpath("threads.toml").read_text("utf-8")
    )
    threads, private = known["thread"], known["private"]
    parts = [_HEAD.format(enough=ENOUGH), standing_table(reports)]
    for report in reports:
        name = f"{report['backend']['name']} {report['backend']['version']}"
        kernels = report["backend"].get("details", {}).get("openblas_kernels")
        by = f", kernels of OpenBLAS for {kernels}" if kernels else ""
        machine = report["environment"]["machine"] + by
        told = {**report, "results": [x for x in report["results"] if _public(report, private, x)]}
        rows = [*_contracts(told, threads), *_failures(told, threads), *_silences(told)]
        parts.append(f"\n## {name}\n\n{_counts(report)} ({machine}).\n")
        if rows:
            parts.append("\n| operator | what | smallest input | expected | observed |\n")
            parts.append("|---|---|---|---|---|\n")
            parts += [f"| {' | '.join(map(_cell, row))} |\n" for row in rows]
        else:
            parts.append("\nNothing was found: every cell keeps its specification.\n")
    return "".join(parts)


def _counts(report: Report) -> str:
    counts = ", ".join(f"{count} {name}" for name, count in report["summary"].items())
    return counts or "nothing was asked"


def _public(report: Report, private: Sequence[Any], line: Any) -> bool:
    """Whether a line may be told: what reads foreign memory is told to the vendor first."""
    return not any(
        fnmatch.fnmatchcase(report["backend"]["name"], entry["backend"])
        and fnmatch.fnmatchcase(line["op"], entry["op"])
        for entry in private
    )


def _contracts(report: Report, threads: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each axis on which another value than the specification's was found.

    Schemes that differ in the same way share a row.
    """
    seen: dict[tuple[str, str, str], tuple[list[str], Any]] = {}
    for one in report["identified"]:
        axes = one["axes"] or {}
        shown = {(item["axis"], item["value"]): item for item in one["evidence"]}
        for axis, value in axes.items():
            wanted = one["spec"].get(axis)
            if wanted is None or value == wanted:
                continue
            # An axis that another one implies has no evidence of its own.
            item = shown.get((axis, wanted), {"inputs": {}, "would_be": "", "observed": ""})
            seen.setdefault((one["op"], axis, str(value)), ([], item))[0].append(one["scheme"])
        if not axes and one["nearest"]:
            key = (one["op"], "no contract of ours", f"{one['mismatches']} of {one['elements']}")
            seen.setdefault(key, ([], one["counterexample"]))[0].append(one["scheme"])
    for (op, axis, value), (schemes, item) in seen.items():
        what = f"`{axis}` is `{value}`" + _link(report, threads, axis, op)
        yield (
            f"`{op}` {_few(schemes)}", what, _inputs(item["inputs"]),
            item["would_be"], item["observed"],
        )  # fmt: skip


def _failures(report: Report, threads: Sequence[Any]) -> Iterator[tuple[str, ...]]:
    """Yield a row for each property of an operator that fails or hangs; schemes share a row."""
    seen: dict[tuple[str, str], tuple[list[str], Any]] = {}
    for line in report["results"]:
        if line["verdict"] in ("FAILS", "HUNG"):
            seen.setdefault((line["op"], line["property"]), ([], line))[0].append(line["scheme"])
    for (op, name), (schemes, line) in seen.items():
        found = line["counterexample"]
        what = f"{name} fails: {line['sentence']}" + _link(report, threads, name, op)
        inputs = found["case"]["inputs"]
        shown = {n: _first(numbers, inputs[n]) for n, numbers in found["numbers"].items()}
        expected, observed = first_unlike(found)
        yield (
            f"`{op}` {_few(schemes)}", what, _inputs(shown), expected, observed or line["detail"],
        )  # fmt: skip


def _first(numbers: Sequence[str], array: Mapping[str, Any]) -> list[str]:
    """Return the first numbers of an array, and of how many they are."""
    count = math.prod(array["shape"])
    return [*numbers[:_SHOWN], *([f"(of {count:,})"] if count > _SHOWN else [])]


def _silences(report: Report) -> Iterator[tuple[str, ...]]:
    """Yield a row for each way in which the specification was silent."""
    seen: dict[tuple[str, str], list[str]] = {}
    for line in report["results"]:
        if line["verdict"] == "SPEC_AMBIGUOUS":
            key = (line["property"], line["detail"])
            seen.setdefault(key, []).append(f"{line['op']} {line['scheme']}")
    for (name, detail), cells in seen.items():
        yield (_few(cells), f"{name}: the specification is silent", "", "", detail)


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(names[:4])
    return shown if len(names) <= 4 else f"{shown} and {len(names) - 4} more"


def _inputs(inputs: Mapping[str, Iterable[str]]) -> str:
    return ", ".join(f"{name} = {' '.join(numbers)}" for name, numbers in inputs.items())


def _link(report: Report, threads: Sequence[Any], what: str, op: str) -> str:
    for thread in threads:
        if (
            fnmatch.fnmatchcase(report["backend"]["name"], thread["backend"])
            and fnmatch.fnmatchcase(what, thread["what"])
            and fnmatch.fnmatchcase(op, thread["op"])
        ):
            return f" ([upstream]({thread['url']}))"
    return ""


def _cell(text: str) -> str:
    """Return text that stays in its cell of a table."""
    return " ".join(text.replace("|", "\\|").split())
