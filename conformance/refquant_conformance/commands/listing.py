"""``refquant-conformance list``: what exists."""

import argparse
import sys
from importlib.util import find_spec

from refquant.cli.common import Command, print_json
from refquant.contracts import PRESETS
from refquant_conformance import adapters, oracle, strategies
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.properties.elsewhere import ELSEWHERE

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="one JSON object")


def _inventory() -> dict[str, list[str]]:
    return {
        "backends": list(adapters.names()),
        "operators": list(OPERATORS),
        "properties": sorted(PROPERTIES),
        "elsewhere": [one.id for one in ELSEWHERE],
        "mutants": list(MUTANTS),
        "contracts": list(PRESETS),
        "oracle": list(oracle.__all__),
        "strategies": [name for name in strategies.__all__ if name.islower()],
    }


def _run(arguments: argparse.Namespace) -> int:
    found = _inventory()
    if arguments.json:
        print_json(found)
        return 0
    packages = adapters.PACKAGES
    missing = [
        name for name in found["backends"] if name in packages and find_spec(packages[name]) is None
    ]
    for kind, names in found.items():
        if kind == "properties":
            lines = [f"  {p.id}  {p.name}: {p.sentence}" for _, p in sorted(PROPERTIES.items())]
            sys.stdout.write("\n".join([f"{kind}:", *lines, ""]))
        elif kind == "elsewhere":
            lines = [
                f"  {one.id}  {one.name}: {one.sentence} Not asked: {one.reason}; "
                f"see {', '.join(one.tests)}"
                for one in ELSEWHERE
            ]
            sys.stdout.write("\n".join(["proved by tests of the repository:", *lines, ""]))
        else:
            sys.stdout.write(f"{kind}: {', '.join(names)}\n")
    if missing:
        sys.stdout.write(
            f"not installed here: {', '.join(missing)}; "
            f"pip install 'refquant-conformance[{missing[0]}]' and so on\n"
        )
    return 0


COMMAND = Command("list", "refquant-conformance list --json", _add_arguments, _run)
