"""The numerics card of a file, as text: what was done to it, and what each layer has cost.

``meta`` is free JSON (docs/spec/rq-format.md, section 2): a file from elsewhere may have anything
under ``numerics``. What is no card is not printed here, but with the rest of ``meta``.
"""

import sys
from collections.abc import Mapping
from typing import Any

from refquant.cli.common import plain, print_table
from refquant.report.text import as_text, flat

__all__ = ["is_card", "print_card"]

_TABLES = ("contracts", "layers", "scales", "rotations", "rounded")
# contracts, rounded: not of the card alone
_RUNS = {
    "codes": "compute on codes",
    "decoded": "decode their weights and compute in float32",
    "float32": "compute in float32",
    "simulated": "round float32 to float32",
}


def is_card(card: object) -> bool:
    """Say whether ``card`` is one: an object whose tables are lists of objects."""
    if not isinstance(card, Mapping):
        return False
    tables = (card.get(key) for key in ("layers", "scales"))
    return all(
        isinstance(table, list) and all(isinstance(row, Mapping) for row in table)
        for table in tables
    )


def print_card(card: Mapping[str, Any]) -> None:
    """Print the card: settings, then tables of the layers, the scales and the rotations."""
    write = sys.stdout.write
    write("\nnumerics\n")
    rest = {key: value for key, value in card.items() if key not in (*_TABLES, "execution")}
    rows = list(flat(rest))
    print_table({"setting": "left", "value": "left"}, rows)
    counts = card.get("execution")
    if isinstance(counts, Mapping):
        said = [f"{counts[key]} {text}" for key, text in _RUNS.items() if counts.get(key)]
        write(f"\nnodes: {', '.join(map(plain, said)) or 'none'}\n")
    if card["layers"]:
        write("\n")
        names = ("node", "algorithm", "format", "dtype", "block_shape", "loss", "measure")
        columns = {name: "right" if name == "loss" else "left" for name in names}
        print_table(columns, [[_cell(name, row.get(name)) for name in names] for row in
                              card["layers"]])  # fmt: skip
    if card["scales"]:
        write("\n")
        names = ("value", "maker", "readers", "method", "ratio", "least", "largest")
        print_table(
            dict.fromkeys(names, "left"),
            [[_cell(name, row.get(name)) for name in names] for row in card["scales"]],
        )
    rotations = card.get("rotations")
    if isinstance(rotations, list) and rotations:
        write("\n")
        print_table(
            dict.fromkeys(
                ("rotation", "layers", "size", "block", "while running", "why not"), "left"
            ),
            [_rotation(row) for row in rotations if isinstance(row, Mapping)],
        )


def _rotation(row: Mapping[str, Any]) -> list[str]:
    """Return a line of the table of rotations: two layers by name, the others by their number."""
    nodes = row.get("nodes")
    names = [str(name) for name in nodes] if isinstance(nodes, list) else []
    more = f" and {len(names) - 2} more" if len(names) > 2 else ""
    keys = ("size", "block_size", "while_running", "reason")
    rest = ["" if key not in row else as_text(row[key]) for key in keys]
    return [as_text(row.get("kind")), " ".join(names[:2]) + more, *rest]


def _cell(name: str, item: Any) -> str:
    if name == "loss" and isinstance(item, float):
        return f"{100 * item:.3g} %"
    return f"{item:.4g}" if isinstance(item, float) else as_text(item)
