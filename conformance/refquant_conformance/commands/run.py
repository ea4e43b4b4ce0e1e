"""``refquant-conformance run``: the whole judgement of one backend."""

import argparse
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from refquant.cli.common import Command, UsageError, print_json, whole_file
from refquant_conformance.commands.common import (
    add_backend,
    add_filters,
    add_jobs,
    add_profile,
    aligned,
    subject_of,
)
from refquant_conformance.commands.report import check_targets, write_reports
from refquant_conformance.commands.selection import chosen
from refquant_conformance.deviations import read_deviations
from refquant_conformance.judge import Judgement, judge
from refquant_conformance.profiles import PROFILES
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.report.document import document
from refquant_conformance.stability import Wavering, wavering
from refquant_conformance.verdict import VERDICTS

__all__ = ["COMMAND", "judgement_json"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_backend(parser)
    add_filters(parser)
    add_profile(parser)
    add_jobs(parser)
    parser.add_argument(
        "--seeds", type=int, default=1, metavar="N",
        help="judge with N seeds, from --seed on; a verdict that not all agree on is a failure",
    )  # fmt: skip
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
    if arguments.seeds < 1:
        raise UsageError(f"--seeds must be >= 1, got {arguments.seeds}")
    by_seed = _judged(arguments)
    found, differ = by_seed[0], wavering(by_seed)
    if not found.cells:
        told = f"{', '.join(arguments.property)} says nothing of the cells that were chosen"
        raise UsageError(f"nothing was asked: {told}")
    report = document(found)
    if arguments.report is not None:
        with whole_file(arguments.report) as file:
            file.write((json.dumps(report, indent=1) + "\n").encode("utf-8"))
    write_reports([report], html=arguments.html, junit_file=arguments.junit)
    if arguments.json:
        print_json({**judgement_json(found), "wavering": [str(one) for one in differ]})
    else:
        sys.stdout.write(_text(found))
        if len(by_seed) > 1:
            sys.stdout.write(_agreement(by_seed, differ))
    return 1 if found.red or differ else 0


def _judged(arguments: argparse.Namespace) -> list[Judgement]:
    """Judge the backend, once for each seed."""
    known = read_deviations(arguments.deviations) if arguments.deviations else ()
    subject = subject_of(arguments)
    try:
        asked = arguments.property
        chosen(subject, ops=arguments.op, schemes=arguments.scheme, properties=asked)
        return [
            judge(
                subject,
                profile=PROFILES[arguments.profile],
                seed=seed,
                ops=arguments.op,
                schemes=arguments.scheme,
                properties=arguments.property,
                deviations=known,
                jobs=arguments.jobs,
            )
            for seed in range(arguments.seed, arguments.seed + arguments.seeds)
        ]
    finally:
        subject.close()


def _agreement(by_seed: Sequence[Judgement], differ: Sequence[Wavering]) -> str:
    """Say whether all seeds gave the same verdicts, or which they disagree about."""
    if not differ:
        return f"the same verdicts with {len(by_seed)} seeds\n"
    lines = "".join(f"  {one}\n" for one in differ)
    return f"{len(differ)} verdicts depend on the seed:\n{lines}"


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
