"""Histograms and channels: of which values and weights the page has figures, and what they say.

A model may have hundreds of layers, a page should not have hundreds of figures: `FIGURES` values,
those whose nodes add most noise, and where fewer add any the first others in order; the weights
behind these; and the channels of the `CHANNELS` values with the largest outlier ratio.
"""

from collections.abc import Callable, Sequence
from typing import Any

from refquant.evaluation.channels import Outliers, outliers
from refquant.evaluation.lockstep import Pair
from refquant.evaluation.spread import Spread, spreads
from refquant.evaluation.trace import Traced
from refquant.evaluation.walk import Arrays
from refquant.report.plots import plot_channels, plot_spread
from refquant.report.text import number, shown
from refquant.report.weights import Weight, weight, weights_behind

__all__ = ["CHANNELS", "FIGURES", "activations", "choose", "outlier_rows", "weight_figures"]

FIGURES, CHANNELS = 12, 10
"""Values with a histogram; values in the table of outlier channels."""

_PLOTTED, _NAMED, _LEAST = 4, 4, 4  # channel figures; channels of a line; channels that are some


def choose(values: Sequence[Traced]) -> list[Traced]:
    """Return the values that get a histogram, in the order of the model.

    >>> choose([])
    []
    """
    known = [each for each in values if each.difference.errors is not None]
    adding = sorted(known, key=lambda each: -max(each.adds or 0.0, 0.0))[:FIGURES]
    names = {each.value for each in adding}
    return [each for each in known if each.value in names]


def activations(
    graphs: Pair,
    inputs: tuple[Arrays, Arrays],
    values: Sequence[Traced],
    sums: str,
    advance: Callable[[int], None],
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the figures of activations, and the names of these values.

    >>> activations((), (), [], "ordered", lambda done: None)
    ([], [])
    """
    chosen = choose(values)
    if not chosen:
        return [], []
    ranges = {each.value: each.difference.ranges for each in chosen}
    found = spreads(graphs, inputs, ranges, sums=sums, advance=advance)
    numbers = {each.value: i for i, each in enumerate(values, 1)}
    rows = []
    for each in chosen:
        spread, place = found[each.value], numbers[each.value]
        rows.append({
            "number": place,
            "value": shown(each.value),
            "op": shown(each.op),
            "sqnr": number(each.sqnr_db, ".2f"),
            "dtypes": _dtypes(*(g.values[each.value].dtype for g in graphs)),
            "clip": _clip(spread),
            "not_finite": sum(each.difference.not_finite),
            "constant": len(spread.edges) == 2,
            "svg": plot_spread(spread, f"h{place}", f"Values of layer {place} in both models"),
        })  # fmt: skip
    return rows, [each.value for each in chosen]


def weight_figures(graphs: Pair, values: Sequence[str]) -> list[dict[str, Any]]:
    """Return the figures of the weights behind ``values``.

    >>> from refquant.model.graph import Graph
    >>> g = Graph("g", (), (), {}, (), {}, {}, {})
    >>> weight_figures((g, g), [])
    []
    """
    rows = []
    for i, name in enumerate(weights_behind(graphs, values)[: 2 * FIGURES], 1):
        one = weight(graphs, name)
        rows.append({
            "name": shown(name),
            "dtypes": _dtypes(*one.dtypes),
            "clip": _clip(one.spread),
            "sqnr": _sqnr(one),
            "outliers": _top(outliers(one.channels, count=1)),
            "svg": plot_spread(one.spread, f"w{i}", f"Weights, figure {i}"),
        })  # fmt: skip
    return rows


def outlier_rows(values: Sequence[Traced]) -> list[dict[str, Any]]:
    """Return the values with the largest outlier ratio, the first few with a figure.

    >>> outlier_rows([])
    []
    """
    found = []
    for place, each in enumerate(values, 1):
        channels = each.difference.channels
        if channels is not None and len(channels) >= _LEAST:
            found.append((place, each, channels, outliers(channels, count=_NAMED)))
    found = [row for row in found if row[3].channels]
    found.sort(key=lambda row: -row[3].ratio)
    return [
        {
            "number": place,
            "value": shown(each.value),
            "count": f"{top.count:,}",
            "ratio": number(top.ratio, ".1f"),
            "median": number(top.median, ".4g"),
            "channels": ", ".join(f"{c}: {size:.4g}" for c, size in top.channels),
            "svg": plot_channels(channels, f"c{place}", f"Largest magnitude of each channel of "
                                 f"layer {place}") if i < _PLOTTED else None,
        }
        for i, (place, each, channels, top) in enumerate(found[:CHANNELS])
    ]  # fmt: skip


def _dtypes(a: str | None, b: str | None) -> str:
    return f"{a or 'none'} in A, {b or 'none'} in B"


def _clip(spread: Spread) -> str:
    """Return the clipping range in words; nothing where there is none."""
    if spread.clip is None:
        return ""
    (low, high), narrow = spread.clip
    words = f"codes of B reach from {low:.4g} to {high:.4g}"
    if narrow != spread.clip[0]:
        words += f", of the narrowest block from {narrow[0]:.4g} to {narrow[1]:.4g}"
    if spread.clipped is None:
        return words
    share = f" ({100 * spread.clipped / spread.elements:.3g} %)" if spread.clipped else ""
    return f"{words}; {spread.clipped:,} of {spread.elements:,} elements of A are clipped{share}"


def _sqnr(one: Weight) -> str:
    return "-" if one.errors is None else number(one.errors.sqnr_db, ".2f")


def _top(found: Outliers) -> str:
    if not found.channels:
        return "no channel differs from zero"
    channel, size = found.channels[0]
    ratio = number(found.ratio, ".1f")
    return f"largest channel {channel}: {size:.4g}, {ratio} times the median"
