"""``refquant-conformance mutants``: judge the judge by bugs that were planted."""

import argparse
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from refquant.cli.common import Command, UsageError, check_writable, print_json, whole_file
from refquant_conformance.adapters import load_backend
from refquant_conformance.commands.common import add_profile, aligned
from refquant_conformance.judge import judge
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.mutants.kill import Kill, kill_all
from refquant_conformance.profiles import PROFILES
from refquant_conformance.report.matrix import matrix_page
from refquant_conformance.subject import Local

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="mutant", help="only these (default: all)")
    add_profile(parser)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument(
        "--matrix", action="store_true", help="try every property, not only the expected one"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=os.cpu_count() or 1,
        help="processes at once (default: the cores, %(default)s)",
    )
    parser.add_argument("--page", type=Path, metavar="FILE", help="write the matrix, Markdown")
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _check(arguments: argparse.Namespace) -> None:
    for name in arguments.names:
        if name not in MUTANTS:
            raise UsageError(f"no mutant {name!r}; there are {', '.join(MUTANTS)}")
    if arguments.seeds < 1:
        raise UsageError(f"--seeds must be >= 1, got {arguments.seeds}")
    if arguments.jobs < 1:
        raise UsageError(f"--jobs must be >= 1, got {arguments.jobs}")
    if arguments.page is not None:
        if arguments.names or not arguments.matrix:
            raise UsageError("--page is of the whole matrix: give --matrix, and no names")
        check_writable(arguments.page)


def _run(arguments: argparse.Namespace) -> int:
    _check(arguments)
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    profile = PROFILES[arguments.profile]
    started = time.perf_counter()
    kills = kill_all(
        arguments.names or tuple(MUTANTS),
        profile,
        seeds,
        matrix=arguments.matrix,
        jobs=arguments.jobs,
    )
    survivors = [one.mutant.name for one in kills if not one.as_expected]
    if arguments.page is not None:
        _write_page(arguments, kills, time.perf_counter() - started)
    if arguments.json:
        matrix = {one.mutant.name: list(one.killed_by) for one in kills}
        print_json(
            {
                **{"mutants": len(kills), "killed": len(kills) - len(survivors)},
                **{"survivors": survivors, "matrix": matrix},
            }
        )
    else:
        sys.stdout.write(aligned([_row(one) for one in kills]) + "\n")
        sys.stdout.write(f"{len(kills) - len(survivors)} of {len(kills)} killed as expected\n")
    return 1 if survivors else 0


def _write_page(arguments: argparse.Namespace, kills: Sequence[Kill], seconds: float) -> None:
    """Write the matrix, and beside it what the suite says of the reference without a bug."""
    profile = PROFILES[arguments.profile]
    reference = Local(load_backend("reference:onnx"), "reference:onnx")
    text = matrix_page(
        kills,
        seeds=arguments.seeds,
        profile=profile.name,
        minutes=seconds / 60,
        jobs=arguments.jobs,
        red=len(judge(reference, profile=profile, seed=arguments.seed).red),
    )
    with whole_file(arguments.page) as file:
        file.write(text.encode("utf-8"))


def _row(one: Kill) -> tuple[str, str, str, str]:
    state = "killed" if one.as_expected else "SURVIVED"
    others = [name for name in one.killed_by if name != one.mutant.killed_by]
    also = f"; also {', '.join(others)}" if others else ""
    return state, one.mutant.name, one.mutant.killed_by, f"{one.mutant.sentence}{also}"


COMMAND = Command(
    "mutants", "refquant-conformance mutants --seeds 3 --matrix", _add_arguments, _run
)
