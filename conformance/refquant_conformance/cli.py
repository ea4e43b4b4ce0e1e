"""The ``refquant-conformance`` command: say which arithmetic a backend implements, and prove it.

Each command is a file in ``commands/``, imported when it is chosen. 0: done. 1: failed, or a
verdict is red. 2: wrong usage. 130: interrupted.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module

from refquant.cli.common import Command, UsageError, sentence
from refquant.cli.version import VersionAction
from refquant_conformance.adapters import BackendError

__all__ = ["COMMANDS", "main"]

COMMANDS: Mapping[str, str] = {
    "list": "what exists: backends, operators, properties, planted bugs, contracts",
    "identify": "find the contracts that are consistent with a backend's answers",
    "run": "identify a backend, then verify it against its contract",
    "mutants": "show that each planted bug is found",
    "vectors": "generate, check, or ask test vectors, which need no Python",
    "report": "write one page, or JUnit, from the reports of several runs",
}
"""Name to what the help says of it; each has a file in ``commands/``."""

_FILES = {"list": "listing"}  # where the name is a word of Python's

_EXAMPLE = """example:
  refquant-conformance list
  refquant-conformance identify --backend onnxruntime
  refquant-conformance run --cmd ./mybinary --json
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's) and return the exit code.

    >>> main(["list", "--json"])  # doctest: +ELLIPSIS
    {"backends": ...
    0
    """
    name = "refquant-conformance"
    try:
        command, arguments = _parse(argv)
        name = f"{name} {command.name}"
        code = command.run(arguments)
        sys.stdout.flush()
        return code
    except SystemExit as stop:  # argparse has written the message
        return int(stop.code or 0)
    except KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        return 130
    except UsageError as error:
        sys.stderr.write(f"{name}: {sentence(error)}\n")
        return 2
    except (BackendError, OSError, ValueError) as error:
        sys.stderr.write(f"{name}: {sentence(error)}\n")
        return 1


def _parse(argv: Sequence[str] | None) -> tuple[Command, argparse.Namespace]:
    given = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="refquant-conformance",
        description="Say which arithmetic a quantized backend implements, and prove it.",
        epilog=_EXAMPLE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=VersionAction, nargs=0, help="print it, and leave")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    chosen: Command | None = None
    for name, purpose in COMMANDS.items():
        if not given or given[0] != name:
            commands.add_parser(name, help=purpose)
            continue
        chosen = _command_of(name)
        child = commands.add_parser(
            name,
            help=purpose,
            description=f"{purpose[0].upper()}{purpose[1:]}.",
            epilog=f"example:\n  {chosen.example}\n",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        chosen.add_arguments(child)
    arguments = parser.parse_args(given)
    if chosen is None:  # an option came first: parse again, now that the name is known
        chosen = _command_of(arguments.command)
        given.sort(key=lambda word: word != arguments.command)
        return _parse(given)
    return chosen, arguments


def _command_of(name: str) -> Command:
    command: Command = import_module(
        f"refquant_conformance.commands.{_FILES.get(name, name)}"
    ).COMMAND
    return command
