"""``refquant-conformance run``: the whole judgement of one backend."""

import argparse
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from refquant.cli.common import Command, UsageError, print_json, whole_file
from refquant_conformance.commands.common import (
    add_backend,
    add_filters,
    add_profile,
    aligned,
    subject_of,
)
from refquant_conformance.commands.report import check_targets, write_reports
from refquant_conformance.deviations import read_deviations
from refquant_conformance.judge import Judgement, judge
from refquant_conformance.profiles import PROFILES
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.report.document import document
from refquant_conformance.verdict import VERDICTS

__all__ = ["COMMAND", "judgement_json"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_backend(parser)
    add_filters(parser)
    add_profile(parser)
    parser.add_argument("--property", action="append", default=[], help="only this property")
    parser.add_argument(
        "--deviations",
        type=Path,
        metavar="FILE",
        help="what the backend is known to do differently",
    )
    parser.add_argument("--report", type=Path, metavar="FILE", help="write the whole report, JSON")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write the report as a page")
    parser.add_argument("--junit", type=Path, metavar="FILE", help="write the report as JUnit XML")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: argparse.Namespace) -> int:
    for name in arguments.property:
        if name not in PROPERTIES:
            raise UsageError(f"--property: no property {name!r}; 'list' names them")
    check_targets(arguments.report, arguments.html, arguments.junit, html=arguments.html)
    known = read_deviations(arguments.deviations) if arguments.deviations else ()
    subject = subject_of(arguments)
    try:
        found = judge(
            subject,
            profile=PROFILES[arguments.profile],
            seed=arguments.seed,
            ops=arguments.op,
            schemes=arguments.scheme,
            properties=arguments.property,
            deviations=known,
        )
    finally:
        subject.close()
    report = document(found)
    if arguments.report is not None:
        with whole_file(arguments.report) as file:
            file.write((json.dumps(report, indent=1) + "\n").encode("utf-8"))
    write_reports([report], html=arguments.html, junit_file=arguments.junit)
    if arguments.json:
        print_json(judgement_json(found))
    else:
        sys.stdout.write(_text(found))
    return 1 if found.red else 0


def judgement_json(found: Judgement) -> dict[str, Any]:
    """Return a judgement for scripts; the keys of design.md section 4, and more."""
    return {
        "backend": found.info.name,
        "version": found.info.version,
        **{"profile": found.profile, "seed": found.seed},
        "cells": [
            {
                **{"op": c.op, "scheme": c.scheme, "property": c.property, "verdict": c.verdict},
                **{"contract": c.contract, "cases": c.cases, "mismatches": c.mismatches},
                "detail": c.detail,
            }
            for c in found.cells
        ],
    }


def _text(found: Judgement) -> str:
    lines = [f"{found.info.name} {found.info.version}, profile {found.profile}"]
    identified = [(one.op, one.scheme, one.name) for one in found.identified]
    if identified:
        lines += [aligned(identified), ""]
    shown = [
        (c.verdict, c.property, c.op, c.scheme, c.detail)
        for c in found.cells
        if c.red or c.verdict in ("DEVIATES_DOCUMENTED", "SPEC_AMBIGUOUS", "UNSUPPORTED")
    ]
    if shown:
        lines += [aligned(shown), ""]
    counts = Counter(cell.verdict for cell in found.cells)
    told = ", ".join(f"{counts[v]} {v}" for v in VERDICTS if counts[v]) or "nothing was asked"
    return "\n".join([*lines, told, ""])


COMMAND = Command(
    "run", "refquant-conformance run --backend onnxruntime --json", _add_arguments, _run
)
