"""What the demo says: a row a scheme, one table, one sentence."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from refquant.cli.common import decimals, print_table

__all__ = ["BASELINE", "Row", "print_rows", "verdict"]

BASELINE = "float32"
"""The scheme that the others are compared with."""

HEADLINE = "w8a8_static_per_channel"
"""The scheme that the verdict speaks of, if it was run."""


@dataclass(frozen=True, slots=True)
class Row:
    """One scheme. Accuracy is in percent of the samples; None is a number that does not exist.

    ``ratio`` and ``speedup`` are against float32. ``differing`` counts the samples whose outputs
    are not the reference's, bytes for bytes, with the first number of threads;
    ``threads_differing`` are the numbers of threads with which any is not.
    """

    scheme: str
    bytes: int
    ratio: float
    top1: float
    top1_drop: float
    sqnr_db: float | None
    bit_exact: bool
    latency_ms: float
    speedup: float | None
    samples: int
    threads: tuple[int, ...]
    isa: str
    differing: int
    threads_differing: tuple[int, ...]


def print_rows(rows: Sequence[Row]) -> None:
    """Print the table, which fits 80 columns, and what its columns mean."""
    columns = {
        "scheme": "left",
        "bytes": "right",
        "size": "right",
        "top-1\n%": "right",
        "drop": "right",
        "SQNR\ndB": "right",
        "bit\nexact": "right",
        "ms": "right",
        "speed": "right",
    }
    print_table(
        columns,
        [
            (
                row.scheme,
                decimals(row.bytes, 0),
                f"{decimals(row.ratio, 1)}x",
                decimals(row.top1, 2),
                decimals(row.top1_drop, 2),
                decimals(row.sqnr_db, 1),
                "yes" if row.bit_exact else "NO",
                _three_digits(row.latency_ms),
                "-" if row.speedup is None else f"{decimals(row.speedup, 2)}x",
            )
            for row in rows
        ],
    )
    sys.stdout.write(
        f"\nsize, speed: times smaller and faster than {BASELINE}; drop: points of top-1\n"
        f"SQNR: of the scores; bit exact: runtime = reference, every byte of each image\n"
        f"ms: median latency of one image, {_threads(rows[0].threads[:1])}, {rows[0].isa}\n\n"
    )


def verdict(rows: Sequence[Row]) -> str:
    """Return one sentence that is true of ``rows``, of which there is at least one."""
    wrong = [row for row in rows if not row.bit_exact]
    if wrong:
        return f"NOT bit-exact: {', '.join(map(_fault, wrong))}."
    count = "The scheme is" if len(rows) == 1 else f"All {len(rows)} schemes are"
    images = f"{rows[0].samples:,} image{'' if rows[0].samples == 1 else 's'}"
    said = f"{count} bit-exact on {images} with {_threads(rows[0].threads)}"
    best = next((row for row in rows if row.scheme == HEADLINE), None)
    return f"{said}." if best is None else f"{said}; {_praise(best)}."


def _three_digits(value: float) -> str:
    return decimals(value, 3 if value < 1 else 2 if value < 10 else 1)


def _fault(row: Row) -> str:
    if row.differing:
        return f"{row.scheme} ({row.differing:,} of {row.samples:,} images differ)"
    return f"{row.scheme} (differs with {_threads(row.threads_differing)})"


def _threads(numbers: Sequence[int]) -> str:
    return f"{' and '.join(map(str, numbers))} thread{'' if tuple(numbers) == (1,) else 's'}"


def _praise(row: Row) -> str:
    words = [f"int8 per-channel is {_times(row.ratio, 'smaller', 'larger')}"]
    if row.speedup is not None:
        words.append(_times(row.speedup, "faster", "slower"))
    drop = round(row.top1_drop, 2)
    change = (
        f"{'loses' if drop > 0 else 'gains'} {abs(drop):.2f} points" if drop else "loses nothing"
    )
    return f"{', '.join(words)} and {change} of top-1"


def _times(ratio: float, more: str, less: str) -> str:
    """Return ``2.1x faster``, ``1.3x slower`` or ``1.0x``: no word that rounding makes untrue."""
    if round(max(ratio, 1 / ratio), 1) == 1.0:
        return f"as {more.replace('smaller', 'large').replace('faster', 'fast')} (1.0x)"
    return f"{ratio:.1f}x {more}" if ratio > 1 else f"{1 / ratio:.1f}x {less}"
