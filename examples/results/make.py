"""Measure what docs/concepts/results.md does not have yet, and write the page anew.

Every cell is kept in docs/concepts/results.json as soon as it is there, under the text of its
recipe: a run that is stopped goes on where it was, and a recipe that changes is measured again.
What only changes the code changes no key: say ``--again`` then, for all, or name the subjects.
`tests/models/test_results.py` measures some of the cheap cells again, so that this is noticed.

Example: ``python -m examples.results.make``, ``python -m examples.results.make --again g2p``;
``--page`` writes the page alone. All of it takes about two hours.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import platform
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

from examples.results.measure import measure, recipe_text
from examples.results.page import render
from examples.results.prepare import prepare
from examples.results.subjects import DATA as MADE
from examples.results.subjects import ROOT, SUBJECTS, Subject

DATA = ROOT / "docs/concepts/results.json"
PAGE = ROOT / "docs/concepts/results.md"


def main() -> None:
    """Measure, write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("subjects", nargs="*", help="names; none: all")
    parser.add_argument("--again", action="store_true", help="measure what is there already, too")
    parser.add_argument("--recipes", nargs="*", help="only these")
    parser.add_argument("--page", action="store_true", help="write the page from what is there")
    arguments = parser.parse_args()
    known = {subject.name: subject for subject in SUBJECTS}
    unknown = [name for name in arguments.subjects if name not in known]
    if unknown:
        parser.error(f"unknown subjects {unknown}; there are {', '.join(known)}")
    data = json.loads(DATA.read_text()) if DATA.exists() else {"about": {}, "cells": {}}
    if not arguments.page:
        names = arguments.subjects or list(known)
        prepare(names)
        for name in names:
            _subject(known[name], data, again=arguments.again, only=arguments.recipes)
    PAGE.write_text(render(data["cells"], data["about"]))


def _subject(
    subject: Subject, data: dict[str, Any], *, again: bool, only: list[str] | None
) -> None:
    if not Path(subject.source).exists():
        raise SystemExit(f"{subject.source} is not there; run `make assets`")
    cells = data["cells"].setdefault(subject.name, {})
    for name in subject.recipes:
        if only is not None and name not in only:
            continue
        key = _key(subject, name)
        if not again and cells.get(name, {}).get("recipe") == key:
            continue
        cell = {**measure(subject, name), "recipe": key}
        cells[name] = cell
        data["about"] = _about()
        print(f"{subject.name} {name}: {json.dumps(cell)}", file=sys.stderr, flush=True)
        _write(json.dumps(data, indent=1, sort_keys=True) + "\n")


def _key(subject: Subject, name: str) -> str:
    """Return a digest of what a cell was asked: the recipe, the data, the metrics."""
    asked: list[Any] = [
        subject.calibration,
        subject.sums,
        [metric.options for metric in subject.metrics],
    ]
    if subject.calibration_of:
        asked.append(subject.calibration_of)
    text = recipe_text(name) + json.dumps(asked).replace(str(ROOT), "").replace(str(MADE), "")
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _write(text: str) -> None:
    temporary = DATA.with_suffix(".tmp")
    temporary.write_text(text)
    temporary.replace(DATA)


def _about() -> dict[str, str]:
    versions = {name: metadata.version(name) for name in ("refquant", "numpy")}
    return {**versions, "Python": platform.python_version(), "cores": f"{os.cpu_count()}, x86-64"}


if __name__ == "__main__":
    main()
