"""``refquant-conformance report``: one page, or JUnit, from the reports of several runs."""

import argparse
import json
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from refquant.cli.common import Command, UsageError, check_writable, whole_file
from refquant_conformance.report.document import SCHEMA_VERSION
from refquant_conformance.report.findings import findings
from refquant_conformance.report.junit import junit
from refquant_conformance.report.page import NEEDS_JINJA, page

__all__ = ["COMMAND", "check_targets", "write_reports"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("reports", nargs="+", type=Path, help="what 'run --report' has written")
    parser.add_argument("--html", type=Path, metavar="FILE", help="write one page of all of them")
    parser.add_argument("--findings", type=Path, metavar="FILE", help="write findings, Markdown")
    parser.add_argument(
        "--junit", type=Path, metavar="FILE", help="write JUnit XML (of one report)"
    )


def _run(arguments: argparse.Namespace) -> int:
    if arguments.html is None and arguments.junit is None and arguments.findings is None:
        raise UsageError("nothing to write: give --html, --findings or --junit")
    check_targets(arguments.html, arguments.junit, arguments.findings, html=arguments.html)
    reports = [_read(path) for path in arguments.reports]
    try:
        write_reports(reports, html=arguments.html, junit_file=arguments.junit)
        if arguments.findings is not None:
            text = findings(reports)
            with whole_file(arguments.findings) as file:
                file.write(text.encode("utf-8"))
    except (KeyError, TypeError, AttributeError, IndexError) as error:
        raise ValueError(
            f"a report lacks {error}, or has another thing there; write it with 'run --report'"
        ) from None
    return 0


def check_targets(*paths: Path | None, html: Path | None) -> None:
    """Refuse, before long work, files that cannot be written, and pages without jinja2."""
    for path in paths:
        if path is not None:
            check_writable(path)
    if html is not None and find_spec("jinja2") is None:
        raise ValueError(NEEDS_JINJA)


def write_reports(
    reports: list[dict[str, Any]], *, html: Path | None, junit_file: Path | None
) -> None:
    """Write what was asked for, each file whole or not at all."""
    if junit_file is not None and len(reports) != 1:
        raise UsageError(f"--junit takes one report, got {len(reports)}")
    for path, made in ((html, page), (junit_file, lambda all_of_them: junit(all_of_them[0]))):
        if path is not None:
            data = made(reports)
            with whole_file(path) as file:
                file.write(data)


def _read(path: Path) -> dict[str, Any]:
    try:
        report = json.loads(path.read_text("utf-8"))
    except (ValueError, RecursionError):
        raise ValueError(f"{path} is no report: not JSON; write one with 'run --report'") from None
    if not isinstance(report, dict) or report.get("schema_version") != SCHEMA_VERSION:
        raise ValueError(
            f"{path} is no report of schema version {SCHEMA_VERSION}; write one with 'run --report'"
        )
    made: dict[str, Any] = report
    return made


COMMAND = Command(
    "report",
    "refquant-conformance report ort.json torch.json --html page.html",
    _add_arguments,
    _run,
)
