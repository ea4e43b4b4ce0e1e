"""``refquant-conformance vectors``: generate, lint, run, or write as a C header."""

import argparse
import hashlib
import sys
from pathlib import Path

from refquant.cli.common import Command, UsageError, check_writable, print_json
from refquant.formats.whole_file import whole_file
from refquant_conformance.arithmetic import ARITHMETICS
from refquant_conformance.commands.common import add_backend, add_filters, aligned, subject_of
from refquant_conformance.vectors.generate import generate
from refquant_conformance.vectors.header import header
from refquant_conformance.vectors.lint import lint, lint_file
from refquant_conformance.vectors.read import MANIFEST, Vector, published_vectors, read
from refquant_conformance.vectors.run import Agreement, run_vectors
from refquant_conformance.wire import dumps

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="generate|lint|run|header")
    making = verbs.add_parser("generate", help="write the vectors of this edition into a folder")
    making.add_argument("folder", type=Path)
    making.add_argument("--op", action="append", default=[], help="only this operator")
    checking = verbs.add_parser("lint", help="count every answer again")
    checking.add_argument("files", nargs="*", type=Path, help="default: the published ones")
    running = verbs.add_parser("run", help="ask a backend, and say which contracts are left")
    add_backend(running)
    add_filters(running)
    running.add_argument("--file", type=Path, action="append", default=[], help="of vectors")
    running.add_argument("--contract", help="fail unless this one is left in every cell")
    running.add_argument("--json", action="store_true", help="one JSON object")
    heading = verbs.add_parser("header", help="write a C header for a device without Python")
    heading.add_argument("--op", required=True)
    heading.add_argument("--scheme", required=True)
    heading.add_argument("--contract", required=True, help="whose answers: spec, or a preset")
    heading.add_argument("--file", type=Path, action="append", default=[], help="of vectors")
    heading.add_argument("-o", "--output", type=Path, required=True)


def _run(arguments: argparse.Namespace) -> int:
    verbs = {"generate": _generate, "lint": _lint, "run": _ask, "header": _header}
    return verbs[arguments.verb](arguments)


def _generate(arguments: argparse.Namespace) -> int:
    known = list(dict.fromkeys(arithmetic.op for arithmetic in ARITHMETICS))
    if unknown := sorted(set(arguments.op) - set(known)):
        raise UsageError(f"--op: no vectors of {unknown[0]!r}; there are {', '.join(known)}")
    arguments.folder.mkdir(parents=True, exist_ok=True)
    sums = []
    for op in dict.fromkeys(arguments.op or known):
        data = (dumps(generate(op)) + "\n").encode("utf-8")
        with whole_file(arguments.folder / f"{op}.json") as file:
            file.write(data)
        sums.append(f"{hashlib.sha256(data).hexdigest()}  {op}.json\n")
    if arguments.op:  # the others stay as they are
        written = {f"{op}.json\n" for op in arguments.op}
        there = arguments.folder / MANIFEST
        lines = there.read_text("utf-8").splitlines(keepends=True) if there.exists() else []
        sums += [line for line in lines if line.split("  ", 1)[-1] not in written]
        sums.sort(key=lambda line: line.split("  ", 1)[-1])
    with whole_file(arguments.folder / MANIFEST) as file:
        file.write("".join(sums).encode("utf-8"))
    sys.stdout.write(f"{len(arguments.op or known)} files in {arguments.folder}\n")
    return 0


def _lint(arguments: argparse.Namespace) -> int:
    problems = [
        problem
        for path in arguments.files
        for problem in lint_file(str(path), path.read_bytes(), None)
    ]
    if not arguments.files:
        problems = list(lint())
    sys.stdout.write("".join(f"{problem}\n" for problem in problems) or "every answer is right\n")
    return 1 if problems else 0


def _read(paths: list[Path]) -> list[Vector]:
    """Read the files named, or all that are published, which must be as they were published."""
    if paths:
        return [vector for path in paths for vector in read(str(path), path.read_bytes())]
    return list(published_vectors())


def _ask(arguments: argparse.Namespace) -> int:
    vectors = [
        vector
        for vector in _read(arguments.file)
        if (not arguments.op or vector.case.op in arguments.op)
        and (not arguments.scheme or vector.case.scheme in arguments.scheme)
    ]
    subject = subject_of(arguments)
    try:
        info, cells = subject.info, run_vectors(subject, vectors)
    finally:
        subject.close()
    wanted = arguments.contract
    failed = [c for c in cells if c.failed or (wanted and wanted not in c.contracts)]
    if arguments.json:
        rows = [
            {
                **{"op": c.op, "scheme": c.scheme, "contracts": list(c.contracts)},
                **{"tests": c.tests, "unanswered": c.unanswered, "lost_at": c.lost_at},
            }
            for c in cells
        ]
        print_json({"backend": info.name, "version": info.version, "cells": rows})
    else:
        shown = [(c.op, c.scheme, f"{c.tests} tests", _found(c)) for c in cells]
        sys.stdout.write(f"{aligned(shown)}\n" if shown else "no vector is of a cell it computes\n")
    return 1 if failed or not cells else 0


def _found(cell: Agreement) -> str:
    lost = "" if cell.lost_at is None else f", since test {cell.lost_at}"
    found = ", ".join(cell.contracts) or f"no contract{lost}"
    return f"{found}; {cell.unanswered} not answered: {cell.trouble}" if cell.unanswered else found


def _header(arguments: argparse.Namespace) -> int:
    check_writable(arguments.output)
    vectors = [
        vector
        for vector in _read(arguments.file)
        if vector.case.op == arguments.op and vector.case.scheme == arguments.scheme
    ]
    text = header(vectors, contract=arguments.contract)
    with whole_file(arguments.output) as file:
        file.write(text.encode("utf-8"))
    return 0


COMMAND = Command(
    "vectors", "refquant-conformance vectors run --cmd ./mybinary", _add_arguments, _run
)
