"""The figures of the page, as what matplotlib is told; `refquant.report.svg` draws them.

Values are numbers here, 1 for the first line of the page's table: names may be anything.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from refquant.evaluation.spread import Spread
from refquant.report.svg import BAD, GRID, INK, A, B, draw

__all__ = ["plot_channels", "plot_errors", "plot_sizes", "plot_spread"]

_WIDE, _SMALL = (10.0, 4.6), (4.6, 2.3)


def plot_errors(
    sqnr_db: Sequence[float | None], adds: Sequence[float | None], threshold: float, prefix: str
) -> str:
    """Return SQNR and added noise of each value, in order, as two panels.

    What is the same (inf) stands on the upper edge, what has no number (NaN) on the lower one; None
    is left out.

    >>> plot_errors([math.inf, 20.0, math.nan], [0.0, 0.01, None], 20.0, "f")[:4]
    '<svg'
    """
    place = np.arange(1, len(sqnr_db) + 1)
    values = np.array([math.nan if v is None else v for v in sqnr_db], np.float64)
    none = np.array([v is None for v in sqnr_db], bool)
    finite = np.isfinite(values)
    low = min([threshold, 0.0, *values[finite]])
    high = max([threshold + 10, *values[finite]])
    edge = 0.06 * (high - low)

    def paint(figure: Any) -> None:
        upper, lower = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
        _marks(upper, place, values, finite)
        for mask, y, mark, colour, label in (
            (values == math.inf, high + edge, "^", A, "the same"),
            (values == -math.inf, low - edge, "v", BAD, "noise alone"),
            (np.isnan(values) & ~none, low - edge, "x", BAD, "not a number"),
        ):
            if mask.any():
                upper.plot(place[mask], np.full(mask.sum(), y), mark, color=colour, ms=4,
                           label=label)  # fmt: skip
        upper.axhline(threshold, color=BAD, lw=0.8, ls="--", label=f"{threshold:g} dB")
        upper.set(ylabel="SQNR, dB", ylim=(low - 2 * edge, high + 2 * edge))
        added = np.array([math.nan if v is None else v for v in adds], np.float64)
        most = max(added[np.isfinite(added)], default=0.0)
        shown = np.where(np.isposinf(added), most * 1.1 or 1.0, np.where(added > 0, added, 0.0))
        lower.vlines(place, 0, 100 * shown, color=B, lw=max(0.8, min(4.0, 400 / len(place))))
        lower.set(ylabel="adds, % noise", xlabel="number of the layer", ylim=(0, None))
        lower.set_xlim(0.3, len(place) + 0.7)
        lower.xaxis.get_major_locator().set_params(integer=True)
        for axes in (upper, lower):
            axes.grid(True, axis="y")
        upper.legend(loc="lower right", bbox_to_anchor=(1, 0.98), ncols=5, fontsize=8)

    title = "Signal to noise of each layer, and the noise that it adds"
    return draw(paint, size=_WIDE, title=title, prefix=prefix)


def _marks(axes: Any, place: NDArray[Any], values: NDArray[Any], finite: NDArray[Any]) -> None:
    size = max(1.5, min(5.0, 250 / len(place)))
    axes.plot(place[finite], values[finite], "-o", color=A, ms=size, lw=0.7, label="SQNR")


def plot_spread(spread: Spread, prefix: str, title: str) -> str:
    """Return two histograms over one axis with a count that is logarithmic, and the clipping range.

    >>> from refquant.evaluation.spread import spread_of_arrays
    >>> plot_spread(spread_of_arrays(np.zeros(3), None, None), "f", "t")[:4]
    '<svg'
    """
    edges = spread.edges

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        for counts, label, colour, filled in zip(
            spread.counts, "AB", (A, B), (True, False), strict=True
        ):
            if counts is not None:
                axes.stairs(counts, edges, color=colour, label=label, baseline=0.5, fill=filled,
                            alpha=0.35 if filled else 1.0, lw=0.0 if filled else 1.2)  # fmt: skip
        for ends, colour, style, label in _lines(spread):
            for i, x in enumerate(filter(math.isfinite, ends)):
                axes.axvline(x, color=colour, lw=0.9, ls=style, label=None if i else label)
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda value, place: _short(value))
        axes.yaxis.set_minor_formatter(lambda value, place: "")
        top = max([10, *(c.max() for c in spread.counts if c is not None and c.size)])
        axes.set_ylim(0.5, 3 * float(top))
        _limit(axes, spread)
        axes.xaxis.get_major_locator().set_params(nbins=6)
        axes.set_ylabel("elements")
        axes.legend(loc="lower right", bbox_to_anchor=(1, 0.97), fontsize=7, ncols=4, borderpad=0.1,
                    handlelength=1.2, columnspacing=0.8)  # fmt: skip

    return draw(paint, size=_SMALL, title=title, prefix=prefix)


def _short(count: float) -> str:
    """Return a power of ten in few letters: the axis of matplotlib has mathematics in it."""
    for unit, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if count >= unit:
            return f"{count / unit:g}{letter}"
    return f"{count:g}"


def _lines(spread: Spread) -> Sequence[tuple[tuple[float, float], str, str, str]]:
    """Return the ranges to mark: the widest of the blocks, and the narrowest if it is another."""
    if spread.clip is None:
        return []
    widest, narrowest = spread.clip
    lines = [(widest, BAD, "--", "clips at"), (narrowest, INK, ":", "narrowest block")]
    return lines[: 1 if widest == narrowest else 2]


def _limit(axes: Any, spread: Spread) -> None:
    """Show the elements and the clipping range near them; a range a hundred times wider is cut."""
    low, high = float(spread.edges[0]), float(spread.edges[-1])
    width = high - low
    for x in spread.clip[0] if spread.clip else ():
        if math.isfinite(x) and low - 2 * width <= x <= high + 2 * width:
            low, high = min(low, x), max(high, x)
    margin = 0.03 * (high - low)
    if math.isfinite(margin) and margin > 0:
        axes.set_xlim(low - margin, high + margin)


def plot_channels(largest: NDArray[np.float64], prefix: str, title: str) -> str:
    """Return the largest magnitude of each channel, and the median as a line.

    >>> plot_channels(np.array([1.0, 2.0, 16.0]), "f", "t")[:4]
    '<svg'
    """
    place = np.arange(len(largest))
    if len(largest) > 1024:  # a line a channel would be thinner than a pixel: the largest of each
        parts = np.array_split(largest, 1024)
        place = np.cumsum([0, *(len(p) for p in parts[:-1])])
        largest = np.array([p.max() for p in parts])
    median = float(np.median(largest))

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.vlines(place, 0, largest, color=A, lw=max(0.5, min(4.0, 250 / len(place))))
        axes.axhline(median, color=BAD, lw=0.9, ls="--", label="median")
        axes.set(xlabel="channel", ylabel="largest magnitude", ylim=(0, None))
        axes.xaxis.get_major_locator().set_params(integer=True, nbins=6)
        axes.legend(loc="upper right", fontsize=7)

    return draw(paint, size=_SMALL, title=title, prefix=prefix)


def plot_sizes(rows: Sequence[tuple[str, int, int]], prefix: str) -> str:
    """Return the bytes of both models, by what they are for, as bars side by side.

    >>> plot_sizes([("weights, int8", 0, 10)], "f")[:4]
    '<svg'
    """
    place = np.arange(len(rows))[::-1]

    def paint(figure: Any) -> None:
        axes = figure.add_subplot()
        axes.barh(place + 0.2, [row[1] / 1000 for row in rows], 0.38, color=A, label="A")
        axes.barh(place - 0.2, [row[2] / 1000 for row in rows], 0.38, color=B, label="B")
        axes.set_yticks(place, [row[0] for row in rows])
        axes.tick_params(axis="y", length=0)
        axes.grid(True, axis="x", color=GRID)
        axes.set_xlabel("kB (1000 bytes)")
        axes.legend(loc="lower right", fontsize=8)

    height = 1.1 + 0.42 * max(1, len(rows))
    return draw(paint, size=(_WIDE[0], height), title="Bytes of both models", prefix=prefix)
