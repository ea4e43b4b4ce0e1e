"""Which values of a `.rq` file are rounded to what, and where that is executed.

A `FakeQuantize` (docs/spec/operators.md, section 8) rounds what a layer reads to a format that no
integer operator computes with. The reference executes it; the runtime refuses the file by name.
"""

import sys
from typing import Any

from refquant.cli.common import plain, print_table
from refquant.model.graph import Graph
from refquant.model.quantize_simulated import rounded_values

__all__ = ["describe_inputs", "print_inputs"]


def describe_inputs(graph: Graph) -> list[dict[str, Any]]:
    """Return one object for each value that is rounded, in the order of the nodes.

    >>> from refquant.model.build import Builder
    >>> b = Builder("g")
    >>> how = {"format": "mxfp4", "granularity": "block"}
    >>> y = b.node("FakeQuantize", [b.input("x", ("N", 2))], name="y", attributes=how)
    >>> describe_inputs(b.graph([y]))[0]["executed_in"]
    'reference'
    """
    return [{**row, "executed_in": "reference"} for row in rounded_values(graph)]


def print_inputs(rounded: list[dict[str, Any]]) -> None:
    """Print what `describe_inputs` found as a table."""
    columns = dict.fromkeys(("value", "format", "granularity", "range", "readers"), "left")
    rows = [(plain(r["value"]), r["format"], r["granularity"], _range(r),
             " ".join(map(plain, r["readers"])) or "none") for r in rounded]  # fmt: skip
    sys.stdout.write("\n")
    print_table(columns, rows)
    sys.stdout.write(
        "rounded values are executed in: reference (the runtime has no FakeQuantize)\n"
    )


def _range(row: dict[str, Any]) -> str:
    """Return how the range is found, with what departs from the plain maximum."""
    words = [row["range"]]
    if "scale" in row:
        words.append(f"scale {row['scale']:.6g}")
    for name in ("axis", "clip_ratio", "threshold"):
        if name in row:
            words.append(f"{name} {row[name]:g}")
    return ", ".join(words)
