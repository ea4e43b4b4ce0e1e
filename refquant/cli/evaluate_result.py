"""What was measured, and how it is shown: a sentence for one model, a table for several, JSON."""

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any

from refquant.cli.common import Advance, decimals, plain, print_table

__all__ = ["TITLES", "Bar", "Measured", "json_row", "print_measured", "real", "shown"]

Bar = Callable[[str, int], Advance]
"""Begins a progress bar: title and total, to a function that is told what is done."""

TITLES = {
    "top1": ("top-1 %", 2),
    "perplexity": ("perplexity", 3),
    "wer": ("WER %", 2),
    "nll": ("nats a token", 4),
    "kl": ("KL nats a token", 5),
    "phonemes": ("phoneme errors %", 2),
    "cosine": ("cosine", 6),
    "sqnr": ("SQNR dB", 2),
}
"""Metric to the heading of its column, and decimals."""


@dataclass(frozen=True, slots=True)
class Measured:
    """A ``value`` in ``unit``, of ``samples`` ``things``; ``said`` are the words a person reads.

    ``details`` are further keys of the JSON object, ``columns`` further columns of the table. A
    line of ``said`` that is the same for all models of a table is printed once.
    """

    value: float
    unit: str | None
    samples: int
    things: str
    context: int | None = None
    details: Mapping[str, Any] = field(default_factory=dict)
    columns: Mapping[str, str] = field(default_factory=dict)
    said: Sequence[str] = ()


def json_row(
    path: str, size: int, measured: Measured, *, metric: str, sums: str, first: Measured
) -> dict[str, Any]:
    """Return one model's JSON object; ``first`` is what its difference is to."""
    return {
        "model": path,
        "metric": metric,
        "value": real(measured.value),
        "context": measured.context,
        "samples": measured.samples,
        "unit": measured.unit,
        "difference": _difference(measured, first),
        "bytes": size,
        "sums": sums,
        **measured.details,
    }


def print_measured(metric: str, rows: Sequence[tuple[str, int, Measured]], sums: str) -> None:
    """Print (path, bytes, measured) of each model: a sentence for one, a table for several."""
    title, places = TITLES[metric]
    path, _, first = rows[0]
    of = f"of {first.samples:,} {first.things}"
    if len(rows) == 1:
        name, _, unit = title.rpartition(" ")
        number = shown(first.value, places)
        number, name = (f"{number} {unit}", name) if unit in ("%", "dB") else (number, title)
        sys.stdout.write(f"{plain(path)}: {name} {number} {of}\n")
    else:
        columns = {"model": "left", "bytes": "right", title: "right", "difference": "right"}
        columns |= dict.fromkeys(first.columns, "right")
        table = []
        for place, (path, size, one) in enumerate(rows):
            difference = _difference(one, first)
            apart = "" if place == 0 else decimals(difference, places)
            cells = (path, f"{size:,}", shown(one.value, places), apart, *one.columns.values())
            table.append(cells)
        print_table(columns, table)
        sys.stdout.write(f"{of}\n")
    for said in zip_longest(*(one.said for _, _, one in rows), fillvalue=""):
        if len(set(said)) == 1:
            sys.stdout.write(f"  {plain(said[0])}\n")
        else:
            for (path, _, _), line in zip(rows, said, strict=True):
                if line:
                    sys.stdout.write(f"  {plain(path)}: {plain(line)}\n")
    note = "" if sums == "ordered" else ": fast, last bits differ between computers"
    sys.stdout.write(f"  sums {sums}{note}\n")


def real(value: float) -> float | None:
    """Return ``value``, or None where it is infinite or NaN: JSON has neither."""
    return value if math.isfinite(value) else None


def shown(value: float, places: int) -> str:
    """Return ``value`` with decimals, or ``inf``, ``nan``."""
    return decimals(value, places) if math.isfinite(value) else str(value)


def _difference(one: Measured, first: Measured) -> float | None:
    return real(one.value - first.value) if math.isfinite(first.value) else None
