"""``refquant-conformance mutants``: judge the judge by bugs that were planted."""

import argparse
import sys

from refquant.cli.common import Command, UsageError, print_json
from refquant_conformance.commands.common import add_profile, aligned
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.mutants.kill import Kill, kill
from refquant_conformance.profiles import PROFILES

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", nargs="*", metavar="mutant", help="only these (default: all)")
    add_profile(parser)
    parser.add_argument("--seeds", type=int, default=1, help="how many seeds, from --seed on")
    parser.add_argument(
        "--matrix", action="store_true", help="try every property, not only the expected one"
    )
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _run(arguments: argparse.Namespace) -> int:
    for name in arguments.names:
        if name not in MUTANTS:
            raise UsageError(f"no mutant {name!r}; there are {', '.join(MUTANTS)}")
    if arguments.seeds < 1:
        raise UsageError(f"--seeds must be >= 1, got {arguments.seeds}")
    seeds = range(arguments.seed, arguments.seed + arguments.seeds)
    kills = [
        kill(MUTANTS[name], PROFILES[arguments.profile], seeds, matrix=arguments.matrix)
        for name in arguments.names or MUTANTS
    ]
    survivors = [one.mutant.name for one in kills if not one.as_expected]
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


def _row(one: Kill) -> tuple[str, str, str, str]:
    state = "killed" if one.as_expected else "SURVIVED"
    others = [name for name in one.killed_by if name != one.mutant.killed_by]
    also = f"; also {', '.join(others)}" if others else ""
    return state, one.mutant.name, one.mutant.killed_by, f"{one.mutant.sentence}{also}"


COMMAND = Command(
    "mutants", "refquant-conformance mutants --seeds 3 --matrix", _add_arguments, _run
)
