"""``refquant atlas``: whether two contracts compute the same, and the smallest input if not."""

import argparse
import math
import sys
from collections.abc import Sequence
from typing import Any

from refquant.atlas.compare import STAGE_ORDER, Divergence, Example, atlas, diverge
from refquant.atlas.page import LETTERS, example_words, groups, markdown, matrix
from refquant.cli.common import Command, UsageError, need_tables, print_json, print_table
from refquant.contracts import PRESET_SOURCES, preset

__all__ = ["COMMAND"]


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("a", metavar="A", nargs="?", help="a contract; without A and B: all pairs")
    parser.add_argument("b", metavar="B", nargs="?", help="another contract")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--json", action="store_true", help="a list with one object an ordered pair")
    how.add_argument("--markdown", action="store_true", help="the tables of docs/concepts/atlas.md")


def _run(arguments: argparse.Namespace) -> int:
    if arguments.a is not None and arguments.b is None:
        raise UsageError("give two contracts, or none for all pairs; see refquant atlas -h")
    if not arguments.json and not arguments.markdown:
        need_tables()
    found = atlas() if arguments.a is None else (_pair(arguments.a, arguments.b),)
    if arguments.json:
        print_json([_as_json(each) for each in found])
    elif arguments.markdown:
        sys.stdout.write(markdown(found))
    elif arguments.a is None:
        _print_matrix(found)
    else:
        _print_pair(found[0])
    return 0


COMMAND = Command(
    name="atlas",
    example="refquant atlas ort tflite_reference",
    add_arguments=_add_arguments,
    run=_run,
)


def _pair(a: str, b: str) -> Divergence:
    try:
        return diverge(preset(a), preset(b))
    except ValueError as error:
        raise UsageError(f"{error}; see refquant atlas -h") from error


def _as_json(found: Divergence) -> dict[str, Any]:
    example = found.example
    return {
        "a": found.a,
        "b": found.b,
        "differ": found.differ,
        "example": None if example is None else _example_json(example),
        "rate_ties": found.rate_ties,
        "rate_gaussian": found.rate_gaussian,
        "because": found.because,
        "stages": dict(found.stages),
        "examples": {stage: _example_json(each) for stage, each in found.examples.items()},
    }


def _example_json(example: Example) -> dict[str, Any]:
    given = {key: _finite(value) for key, value in example.given.items()}
    return {"stage": example.stage, "given": given, "a": example.a, "b": example.b}


def _finite(value: Any) -> Any:
    """Return a value that strict JSON has: NaN and infinities as text."""
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _print_pair(found: Divergence) -> None:
    write = sys.stdout.write
    write(f"{found.a} and {found.b} " + ("differ" if found.differ else "do not differ"))
    write(f"\n{found.because}\n\n")
    rows = []
    for stage in STAGE_ORDER:
        example = found.examples.get(stage)
        rows.append((stage, found.stages[stage], example_words(example) if example else ""))
    heading = f"smallest input: {found.a} | {found.b}"
    print_table({"stage": "left", "verdict": "left", heading: "left"}, rows)
    for name, rate in (("on ties", found.rate_ties), ("on Gaussian data", found.rate_gaussian)):
        share = "-" if rate is None else f"{100 * rate:.4g} %"
        write(f"int8 codes that differ {name}: {share}\n")
    for name in dict.fromkeys((found.a, found.b)):  # once, if somebody asks of one contract
        known = PRESET_SOURCES[name]
        sources = "; ".join(map(str, known.sources))
        write(f"\n{name}: {known.about}\n  {known.evidence}\n  {sources}\n")
        if known.differs:
            write(f"  not in the contract: {known.differs}\n")


def _print_matrix(found: Sequence[Divergence]) -> None:
    table = matrix(found)
    names = sorted(table)
    columns = {"": "left", **{str(index): "left" for index in range(1, len(names) + 1)}}
    rows = [
        (f"{index} {a}", *("·" if a == b else table[a][b] for b in names))
        for index, a in enumerate(names, 1)
    ]
    print_table(columns, rows)
    write = sys.stdout.write
    words = ", ".join(f"{letter} {stage}" for stage, letter in LETTERS.items())
    write(f"\nstages that differ: {words}; =: none\n\nthe same codes for every float32 compared:\n")
    for members in groups(found, "quantize"):
        write(f"  {', '.join(members)}\n")
    write("refquant atlas A B shows a pair, with the smallest input of each stage\n")
