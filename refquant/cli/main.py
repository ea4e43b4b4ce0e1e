"""The dispatcher: arguments in, an exit code out, and never a traceback.

0: done. 1: failed, with one sentence on stderr that says what to do. 2: wrong usage.
130: interrupted from the keyboard.
"""

import argparse
import os
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from importlib import import_module
from io import TextIOWrapper
from typing import NoReturn

from refquant.cli.common import Command, UsageError, sentence
from refquant.cli.version import VersionAction

__all__ = ["COMMANDS", "command_of", "main"]


COMMANDS: Mapping[str, str] = {
    "demo": "quantize a small network in seven ways, and prove the runtime right bit for bit",
    "import": "write a model of another format as a .rq file",
    "inspect": "show what a model file holds: nodes or tensors, parameters, contracts and sizes",
    "run": "run a model on data by the golden reference: slow, and right by definition",
    "quantize": "quantize a float model by a recipe",
    "evaluate": (
        "measure models: accuracy, perplexity, word errors, pronunciation, nearness to another"
    ),
    "compare": "compare two models on the same data: outputs, layers, and where they part",
    "export": "write a model as ONNX, for onnxruntime and others",
    "explain": "print a number format's layout, and how a value is encoded in it",
    "atlas": "tell whether contracts compute the same, with the smallest input if not",
}
"""Name to what the help says of it, in the order of the help; each has a file in `refquant.cli`."""

_FILES = {"import": "import_model"}  # where the name is a word of Python's


def command_of(name: str) -> Command:
    """Import the command ``name``, and nothing of the others: half a second of modules.

    It is called within `main`, so an interrupt while NumPy loads is an interrupt.
    """
    command: Command = import_module(f"refquant.cli.{_FILES.get(name, name)}").COMMAND
    return command


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
    argv = sys.argv[1:] if argv is None else argv
    # before the command there is no option with a value: the first that is a name is the command
    parser = _parser(next((text for text in argv if text in COMMANDS), None))
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


def _parser(chosen: str | None) -> _Parser:
    """Return the parser of all commands; it knows the arguments of the ``chosen`` one."""
    parser = _Parser(
        prog="refquant",
        description="Post-training quantization, exactly: make, inspect, compare models.",
        epilog="example:\n  refquant demo",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        "--version", action=VersionAction, nargs=0, help="print the version, and leave"
    )
    children = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, text in COMMANDS.items():
        child = children.add_parser(
            name,
            help=text,
            description=f"{text[0].upper()}{text[1:]}.",
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        if name == chosen:
            command = command_of(name)
            child.epilog = f"example:\n  {command.example}"
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
