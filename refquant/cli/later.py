"""Commands that come with a later version: named, so that a script gets a sentence, not a guess."""

import argparse
import sys
from collections.abc import Callable

from refquant.cli.common import Command

__all__ = ["COMMANDS"]

_LATER = {  # name -> (purpose, what is missing, example)
    "export": (
        "write models for other runtimes",
        "the exporters to other formats; this version writes .rq files",
        "refquant export model.rq -o model.onnx",
    ),
}


def _command(name: str, purpose: str, missing: str, example: str) -> Command:
    return Command(
        name=name,
        help=f"{purpose} (comes with a later version)",
        example=f"{example}    (not in this version)",
        add_arguments=lambda parser: None,
        run=_refusal(name, missing),
        strict=False,
    )


def _refusal(name: str, missing: str) -> Callable[[argparse.Namespace], int]:
    def run(arguments: argparse.Namespace) -> int:
        sys.stderr.write(f"refquant {name}: comes with a later version, which brings {missing}\n")
        return 2

    return run


COMMANDS = tuple(_command(name, *texts) for name, texts in _LATER.items())
