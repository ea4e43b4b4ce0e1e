"""``refquant explain``: a number format's layout, and a value's way into it, step by step."""

import argparse
import re
import sys
from collections.abc import Sequence
from typing import Any

import numpy as np

from refquant.cli.common import Command, UsageError, need_tables, print_json, print_table
from refquant.contracts import preset
from refquant.formats.card import Card, Step

__all__ = ["COMMAND"]

_NEGATIVE = re.compile(r"^-(\.?\d|inf|nan)", re.IGNORECASE)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("format", metavar="FORMAT", nargs="?", help="its name; none: list them all")
    parser.add_argument(
        "values", metavar="VALUE", nargs="*", help="numbers to encode, as one block"
    )
    parser.add_argument("--contract", metavar="NAME", help="for integer formats (default: onnx)")
    parser.add_argument("--json", action="store_true", help="one JSON object instead of text")
    # subtle: argparse takes -0.7 for a number, but -1e-3 and -inf for options; there is no public
    # way to tell it, and a wrong sign of a value must not need a `--`.
    parser._negative_number_matcher = _NEGATIVE


def _run(arguments: argparse.Namespace) -> int:
    if arguments.format is None:
        return _list(arguments.json)
    chosen = _card(arguments.format, arguments.contract)
    values = [_value(text) for text in arguments.values]
    if values and not arguments.json:
        need_tables()
    steps: Sequence[Step] = chosen.explain(np.array(values, np.float32)) if values else ()
    if arguments.json:
        print_json(_as_json(chosen, steps))
    else:
        _print(chosen, steps)
    return 0


COMMAND = Command(
    name="explain",
    example="refquant explain nvfp4 3.3 -0.7",
    add_arguments=_add_arguments,
    run=_run,
    repeated="values",
)


def _card(name: str, contract: str | None) -> Card:
    # All formats are imported by who asks for one, not whenever `refquant` starts.
    from refquant.formats.affine_cards import INTEGER_DTYPES, integer_card
    from refquant.formats.catalog import card

    try:
        found = card(name)
        if contract is None:
            return found
        if found.name in INTEGER_DTYPES:
            return integer_card(found.name, preset(contract))
    except ValueError as error:
        raise UsageError(f"{error}; see refquant explain -h") from error
    raise UsageError(
        f"--contract is for {', '.join(INTEGER_DTYPES)}; {found.name} computes in one way only; "
        "see refquant explain -h"
    )


def _value(text: str) -> np.float32:
    """Return the float32 nearest to ``text``, which may be decimal, hexadecimal, inf or nan."""
    try:
        number = float.fromhex(text) if "0x" in text.lower() else float(text)
    except (ValueError, OverflowError):
        raise UsageError(
            f"VALUE must be a number such as 3.3, -1e-3, 0x1.8p1, inf or nan, got {text!r}; "
            "see refquant explain -h"
        ) from None
    with np.errstate(over="ignore"):  # beyond float32: infinity, and shown as that
        return np.float32(number)


def _list(as_json: bool) -> int:
    from refquant.formats.catalog import CATALOG

    if as_json:
        print_json([_summary(each) for each in CATALOG.values()])
        return 0
    rows = [
        (each.name, f"{each.bits_per_value:.6g}", each.block_size or "any", each.title)
        for each in CATALOG.values()
    ]
    print_table({"format": "left", "bits": "right", "block": "right", "what it is": "left"}, rows)
    sys.stdout.write("\nrefquant explain FORMAT shows one; with numbers, how it encodes them\n")
    return 0


def _summary(chosen: Card) -> dict[str, Any]:
    return {
        "format": chosen.name,
        "title": chosen.title,
        "bits_per_value": chosen.bits_per_value,
        "block_size": chosen.block_size,
        "layout": chosen.layout,
        "equation": chosen.equation,
        "source": chosen.source,
    }


def _as_json(chosen: Card, steps: Sequence[Step]) -> dict[str, Any]:
    lines = [{"what": step.what, "how": step.how, "result": step.result} for step in steps]
    return {**_summary(chosen), "steps": lines}


def _print(chosen: Card, steps: Sequence[Step]) -> None:
    write = sys.stdout.write
    block = {0: "", 1: ""}.get(chosen.block_size, f", blocks of {chosen.block_size} values")
    write(f"{chosen.name}: {chosen.title}\n{chosen.bits_per_value:.6g} bits a value{block}\n\n")
    for heading, text in (
        ("layout", chosen.layout),
        ("equation", chosen.equation),
        ("source", chosen.source),
    ):
        lines = text.strip("\n").splitlines()
        write(f"{heading}\n" + "".join(f"  {line}\n" for line in lines) + "\n")
    if steps:
        rows = [(step.what, step.how, step.result) for step in steps]
        print_table({"step": "left", "how": "left", "result": "left"}, rows)
    else:
        write(f"refquant explain {chosen.name} 0.5 -1 shows how values are encoded\n")
