"""The ``refquant-runtime`` command (also ``python -m refquant_runtime``).

Returns 0 when done, 1 when it failed, 2 for wrong usage. Errors are one sentence on stderr.
"""

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refquant_runtime.version import __version__

__all__ = ["main"]

_LATER = {
    "warmup": "warmup comes with the ahead-of-time kernels; the first run compiles and keeps them",
    "generate": "generate comes with the language models",
    "chat": "chat comes with the language models",
    "serve": "serve comes with the language models",
}
_LENGTH = "steps of the sequences, where the model takes any number (default 1)"


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code."""
    parser = _parser()
    arguments = parser.parse_args(argv)
    if arguments.command in _LATER:
        print(f"refquant-runtime {_LATER[arguments.command]}", file=sys.stderr)
        return 2
    from refquant_runtime import commands  # after parsing: --help need not load numba

    run: Callable[[argparse.Namespace], Any] = getattr(commands, f"run_{arguments.command}")
    try:
        run(arguments)
    except BrokenPipeError:  # whoever read our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the last flush
        return 0
    except (ValueError, OSError, MemoryError) as error:
        print(f"refquant-runtime {arguments.command}: {_sentence(error)}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("refquant-runtime: interrupted", file=sys.stderr)
        return 130
    return 0


def _sentence(error: Exception) -> str:
    if isinstance(error, MemoryError):
        return "not enough memory; pass fewer samples, or use a smaller model"
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}; give a path that this user may use"
    return " ".join(str(error).split()) or type(error).__name__


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="refquant-runtime",
        description="Run quantized models (.rq files) on this CPU.",
        epilog="example: refquant-runtime bench model.rq --threads 2",
    )
    parser.add_argument("--version", action="version", version=f"refquant-runtime {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    info = _command(commands, "info", "what a .rq file contains and needs", "info model.rq")
    _options(info, model=True, json=True)
    run = _command(
        commands, "run", "run a model on data", "run model.rq --input x.npz --output y.npz"
    )
    _options(run, model=True, json=True, threads=True)
    run.add_argument("--input", metavar="X.npz", help="one array an input, first axis = samples; "
                     "of a model with states: the steps of one stream; without it the model runs "
                     "on zeros")  # fmt: skip
    run.add_argument("--output", metavar="Y.npz", help="where to write the outputs")
    bench = _command(commands, "bench", "measure latency", "bench model.rq --threads 2 --json")
    _options(bench, model=True, json=True, threads=True)
    bench.add_argument("--runs", type=_positive, default=200, help="measured runs (default 200)")
    bench.add_argument("--length", type=_positive, default=1, help=_LENGTH)
    profile = _command(commands, "profile", "time every step", "profile model.rq --threads 1")
    _options(profile, model=True, json=True, threads=True)
    profile.add_argument("--runs", type=_positive, default=50, help="runs a step (default 50)")
    profile.add_argument("--length", type=_positive, default=1, help=_LENGTH)
    doctor = _command(commands, "doctor", "what this machine has and what is used", "doctor")
    _options(doctor, json=True)
    batch = _command(commands, "batch", "run many jobs in one process", "batch jobs.json")
    batch.add_argument("jobs", metavar="JOBS", help="a JSON list of jobs, or - for one a line")
    for name, text in _LATER.items():
        commands.add_parser(name, help=f"not yet: {text}")
    return parser


def _command(commands: Any, name: str, text: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=text, description=f"{text[0].upper()}{text[1:]}.",
        epilog=f"example: refquant-runtime {example}",
    )  # fmt: skip
    return parser


def _options(
    parser: argparse.ArgumentParser, *, model: bool = False, json: bool = False,
    threads: bool = False,
) -> None:  # fmt: skip
    if model:
        parser.add_argument("model", metavar="MODEL.rq", help="the model")
    if threads:
        cores = min(os.cpu_count() or 1, 4)
        parser.add_argument("--threads", type=_threads, default=cores,
                            help=f"threads to use (default {cores})")  # fmt: skip
    if json:
        parser.add_argument("--json", action="store_true", help="print JSON")


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be a whole number, at least 1, got {text!r}")
    return int(text)


def _threads(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 256:
        raise argparse.ArgumentTypeError(f"must be a whole number from 1 to 256, got {text!r}")
    return int(text)


def show(result: Any, as_json: bool, lines: Sequence[str]) -> None:
    """Print a result: as JSON, or as lines for people."""
    print(json.dumps(result) if as_json else "\n".join(lines), flush=True)


def pairs(result: Mapping[str, Any]) -> list[str]:
    """Return aligned ``key  value`` lines; a measured number has four digits."""
    width = max(len(key) for key in result)
    texts = {k: f"{v:.4g}" if isinstance(v, float) else str(v) for k, v in result.items()}
    return [f"{key:{width}}  {text}" for key, text in texts.items()]
