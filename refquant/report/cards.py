"""The numerics card of a model, as rows: what was done to it, and in which arithmetic it computes.

The card is ``meta.numerics`` of a `.rq` file (`refquant.model.card`), JSON that anybody may have
written: what is not as expected is shown as it is. A model without one has its contracts still.
"""

from collections.abc import Mapping
from typing import Any

from refquant.model.graph import Graph
from refquant.report.text import flat, number, shown

__all__ = ["ROWS", "card_of"]

ROWS = 400
"""Lines of settings, and of layers, that are shown; more are counted."""

_LAYER = ("node", "algorithm", "format", "dtype", "block_shape", "loss", "measure")
_ELSEWHERE = ("contracts", "layers")  # tables of their own


def card_of(graph: Graph) -> dict[str, Any]:
    """Return ``settings``, ``layers`` and ``contracts`` as rows of text; ``known``: it has a card.

    >>> found = card_of(Graph("g", (), (), {}, (), {}, {}, {"numerics": {"scheme": "static"}}))
    >>> found["known"], found["settings"]
    (True, [('scheme', 'static')])
    """
    card = graph.meta.get("numerics")
    tree = {}
    if isinstance(card, Mapping):
        tree = {key: value for key, value in card.items() if key not in _ELSEWHERE}
    settings = [(shown(name), shown(text, 240)) for name, text in flat(tree)] if tree else []
    layers = _layers(card)
    tables = {name: contract.to_json() for name, contract in graph.contracts.items()}
    axes = list(dict.fromkeys(axis for table in tables.values() for axis in table))
    return {
        "known": isinstance(card, Mapping),
        "settings": settings[:ROWS],
        "settings_left": max(0, len(settings) - ROWS),
        "columns": _LAYER,
        "layers": layers[:ROWS],
        "layers_left": max(0, len(layers) - ROWS),
        "contract_names": [shown(name) for name in tables],
        "axes": [
            (axis, [shown(table.get(axis, "-")) for table in tables.values()]) for axis in axes
        ],
    }


def _layers(card: object) -> list[list[str]]:
    rows = card.get("layers") if isinstance(card, Mapping) else None
    if not isinstance(rows, list):
        return []
    return [
        [_cell(key, row.get(key)) for key in _LAYER] for row in rows if isinstance(row, Mapping)
    ]


def _cell(key: str, item: object) -> str:
    if key == "loss" and isinstance(item, float):
        return f"{number(100 * item, '.3g')} %"
    return "-" if item is None else shown(next(flat({"": item}))[1])
