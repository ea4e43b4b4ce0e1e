"""The dispatcher: arguments in, an exit code out, and never a traceback.

0: done. 1: failed, with one sentence on stderr that says what to do. 2: wrong usage.
130: interrupted from the keyboard.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from io import TextIOWrapper
from typing import NoReturn

from refquant.cli.common import Command, UsageError, sentence

__all__ = ["commands", "main"]


def commands() -> tuple[Command, ...]:
    """Return all commands, in the order of the help.

    They are imported here, within `main`: so an interrupt while NumPy loads is an interrupt.
    """
    from refquant.cli import (
        atlas,
        compare,
        demo,
        evaluate,
        explain,
        export,
        import_model,
        inspect,
        quantize,
        run,
    )

    return (
        demo.COMMAND,
        import_model.COMMAND,
        inspect.COMMAND,
        run.COMMAND,
        quantize.COMMAND,
        evaluate.COMMAND,
        compare.COMMAND,
        export.COMMAND,
        explain.COMMAND,
        atlas.COMMAND,
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line ``argv`` (default: this process's) and return the exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):  # an ASCII terminal shows escapes, not an error
            stream.reconfigure(errors="backslashreplace")
    name = "refquant"
    try:
        command, arguments = _parse(argv)
        name = f"refquant {command.name}"
        code = command.run(arguments)
        sys.stdout.flush()  # here, where a full disk is an error like any other
        return code
    except SystemExit as stop:  # argparse has written the help, or the message
        return int(stop.code or 0)
    except KeyboardInterrupt:
        _complain("refquant: interrupted")
        return 130
    except BrokenPipeError:  # `refquant inspect x.rq | head`: nobody is left to tell
        _abandon_stdout()
        return 1
    except (ValueError, OSError, MemoryError) as error:
        _complain(f"{name}: {sentence(error)}")
        if isinstance(error, OSError) and error.filename is None:
            _abandon_stdout()
        return 2 if isinstance(error, UsageError) else 1


def _parse(argv: Sequence[str] | None) -> tuple[Command, argparse.Namespace]:
    parser = _parser()
    arguments, rest = parser.parse_known_args(argv)
    command: Command = arguments.run
    if command.repeated and not any(text.startswith("--") for text in rest):
        # argparse gives `*` what stands before the first option only: explain nf4 --json 0.5
        getattr(arguments, command.repeated).extend(rest)
        rest = []
    if rest and command.strict:
        parser.error(f"unknown arguments {' '.join(rest)!r}; see {parser.prog} {command.name} -h")
    return command, arguments


class _Parser(argparse.ArgumentParser):
    """A parser whose errors are one sentence."""

    def error(self, message: str) -> NoReturn:
        if "-h" not in message.split():
            message += f"; see {self.prog} --help"
        self.exit(2, f"{self.prog}: {' '.join(message.split())}\n")


def _parser() -> _Parser:
    parser = _Parser(
        prog="refquant",
        description="Post-training quantization, exactly: make, inspect, compare models.",
        epilog="example:\n  refquant demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    children = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in commands():
        child = children.add_parser(
            command.name,
            help=command.help,
            description=f"{command.help[0].upper()}{command.help[1:]}.",
            epilog=f"example:\n  {command.example}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        child.set_defaults(run=command)
        command.add_arguments(child)
    return parser


def _complain(text: str) -> None:
    with suppress(OSError):  # stderr is gone, too: the exit code must say it alone
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _abandon_stdout() -> None:
    """Let the interpreter's last flush, of what could not be written, go nowhere."""
    with suppress(OSError, ValueError):  # a stdout that is no file has no such flush
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
