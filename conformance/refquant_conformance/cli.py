"""The ``refquant-conformance`` command.

This version lists what exists. The other commands are named, so that a script which calls one gets
a sentence and exit code 2 instead of a guess.
"""

import argparse
import json
import sys
from collections.abc import Sequence

from refquant.contracts import PRESETS
from refquant_conformance import oracle, strategies

__all__ = ["main"]

_LATER = {
    "identify": "find the contracts that are consistent with a backend's answers",
    "run": "verify a backend against its contract",
    "mutants": "show that each planted bug is found",
    "vectors": "write or run test vectors",
    "report": "write a report",
}

_EXAMPLE = """example:
  refquant-conformance list
  refquant-conformance list --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return 0 (done) or 2 (wrong usage, or not in this version).

    >>> main(["list", "--json"])  # doctest: +ELLIPSIS
    {"contracts": [...
    0
    """
    parser = _parser()
    try:
        arguments, rest = parser.parse_known_args(argv)
        if rest and arguments.command not in _LATER:
            parser.error(f"unknown arguments: {' '.join(rest)}; see {parser.prog} --help")
    except SystemExit as stop:  # argparse has written the message
        return int(stop.code or 0)
    if arguments.command in _LATER:
        sys.stderr.write(
            f"refquant-conformance: '{arguments.command}' comes with a later version; "
            "this one has 'list'\n"
        )
        return 2
    sys.stdout.write(_json() if arguments.json else _text())
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="refquant-conformance",
        description="The exact oracle of quantized arithmetic, and inputs that find rounding bugs. "
        "This version lists them; naming a backend's arithmetic comes with a later one.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    listing = commands.add_parser(
        "list",
        help="what exists: contracts, exact oracles, strategies",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    listing.add_argument("--json", action="store_true", help="one JSON object")
    for name, purpose in _LATER.items():
        commands.add_parser(name, help=f"{purpose} (comes with a later version)")
    return parser


def _inventory() -> dict[str, list[str]]:
    return {
        "contracts": list(PRESETS),
        "oracle": list(oracle.__all__),
        "strategies": [name for name in strategies.__all__ if name.islower()],
    }


def _json() -> str:
    return json.dumps(_inventory()) + "\n"


def _text() -> str:
    lines = [f"{kind}: {', '.join(names)}" for kind, names in _inventory().items()]
    return "\n".join([*lines, "backends: none yet; judging them comes with a later version", ""])
