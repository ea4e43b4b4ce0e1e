"""What the commands share: which backend, how hard to look, and one line for a cell."""

import argparse
from collections.abc import Sequence

from refquant.cli.common import UsageError
from refquant_conformance.operators import OPERATORS
from refquant_conformance.profiles import PROFILES
from refquant_conformance.side_by_side import DEFAULT_JOBS
from refquant_conformance.subject import TIME_LIMIT, Worker

_LONGEST = 86_400  # seconds: a day

__all__ = ["add_backend", "add_filters", "add_jobs", "add_profile", "aligned", "subject_of"]


def add_backend(parser: argparse.ArgumentParser) -> None:
    """Add ``--backend``, ``--cmd``, ``--knob`` and ``--time-limit``."""
    who = parser.add_mutually_exclusive_group(required=True)
    who.add_argument("--backend", metavar="NAME", help="a name of 'list', or package.module:Class")
    who.add_argument("--cmd", metavar="PROGRAM", help="a program that speaks JSON lines")
    parser.add_argument(
        "--knob",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a setting of the backend, as in threads=2; may be given again",
    )
    parser.add_argument(
        "--time-limit",
        type=float,
        default=TIME_LIMIT,
        metavar="S",
        help=f"seconds for one case, after which it hangs (default {TIME_LIMIT:g})",
    )


def add_filters(parser: argparse.ArgumentParser) -> None:
    """Add ``--op`` and ``--scheme``: ask about a part only."""
    parser.add_argument("--op", action="append", default=[], help="only this operator")
    parser.add_argument("--scheme", action="append", default=[], help="only this scheme")


def add_profile(parser: argparse.ArgumentParser) -> None:
    """Add ``--profile`` and ``--seed``."""
    parser.add_argument(
        "--profile", choices=tuple(PROFILES), default="ci", help="how hard to look (default ci)"
    )
    parser.add_argument("--seed", type=_seed, default=0, help="of every draw (default 0)")


def add_jobs(parser: argparse.ArgumentParser) -> None:
    """Add ``--jobs``: how many cells are asked at once."""
    parser.add_argument(
        "--jobs", type=_jobs, default=DEFAULT_JOBS, metavar="N",
        help="cells asked at once, each by a process of its own with a backend of its own "
        "(default: the cores, at most 4: %(default)s)",
    )  # fmt: skip


def _jobs(text: str) -> int:
    jobs = int(text)
    if jobs < 1:
        raise argparse.ArgumentTypeError(f"jobs are 1 or more, got {jobs}")
    return jobs


def _seed(text: str) -> int:
    seed = int(text)
    if seed < 0:
        raise argparse.ArgumentTypeError(f"a seed is 0 or more, got {seed}")
    return seed


def subject_of(arguments: argparse.Namespace) -> Worker:
    """Return the backend that the arguments name, in a process of its own.

    ``UsageError`` for a knob without a value, or an operator or scheme that does not exist.
    """
    if not 0 < arguments.time_limit <= _LONGEST:
        raise UsageError(
            f"--time-limit must be > 0 and <= {_LONGEST}, got {arguments.time_limit:g}"
        )
    knobs: dict[str, str | int] = {}
    for text in arguments.knob:
        name, equals, value = text.partition("=")
        if not name or not equals or not value:
            raise UsageError(f"--knob takes NAME=VALUE, as in threads=2; got {text!r}")
        knobs[name] = int(value) if value.lstrip("-").isdigit() else value
    for op in arguments.op:
        if op not in OPERATORS:
            raise UsageError(f"--op: no operator {op!r}; there are {', '.join(OPERATORS)}")
    for scheme in arguments.scheme:
        if not any(scheme in OPERATORS[op].schemes for op in arguments.op or OPERATORS):
            named = ", ".join(arguments.op) or "no operator"
            raise UsageError(f"--scheme: {named} has no scheme {scheme!r}")
    spec = arguments.backend if arguments.cmd is None else f"cmd:{arguments.cmd}"
    subject = Worker(spec, knobs, arguments.time_limit)
    try:
        _check_knobs(spec, knobs, subject)
    except BaseException:
        subject.close()
        raise
    return subject


def _check_knobs(spec: str, knobs: dict[str, str | int], subject: Worker) -> None:
    offered = subject.info.knobs
    for name, value in knobs.items():
        if name not in offered or value not in offered[name]:
            known = "; ".join(f"{n}={'|'.join(map(str, v))}" for n, v in offered.items())
            raise UsageError(f"{spec} has no knob {name}={value}; it has {known or 'none'}")


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Return rows as columns; the last column is as wide as it likes.

    >>> print(aligned([("a", "bb"), ("ccc", "d")]))
    a    bb
    ccc  d
    """
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)][:-1]
    padded = (
        [*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]
        for row in rows
    )
    return "\n".join("  ".join(row).rstrip() for row in padded)
