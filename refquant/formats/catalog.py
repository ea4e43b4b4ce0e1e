"""The catalog: every format's card, by the name a user types.

A module that defines a format ends in a ``CARD`` or ``CARDS``; listing it here is what makes
``refquant explain`` know it. A test walks all modules and fails if one is forgotten.
"""

from collections.abc import Mapping
from difflib import get_close_matches
from types import MappingProxyType

from refquant.formats import affine_cards, minifloat_cards
from refquant.formats.card import Card

__all__ = ["CATALOG", "card"]

_ALL: tuple[Card, ...] = (
    *affine_cards.CARDS,
    *minifloat_cards.CARDS,
)

CATALOG: Mapping[str, Card] = MappingProxyType({each.name: each for each in _ALL})
"""Every card by name, families together."""


def card(name: str) -> Card:
    """Return the card of that name, in any case, with ``-`` for ``_``; else a ``ValueError``.

    >>> card("E4M3FN").bits_per_value
    8.0
    >>> card("int9")
    Traceback (most recent call last):
    ...
    ValueError: unknown format 'int9'; did you mean int8, int4, int3? refquant explain lists all
    """
    key = name.strip().lower().replace("-", "_")
    if key in CATALOG:
        return CATALOG[key]
    near = ", ".join(get_close_matches(key, CATALOG, n=3, cutoff=0.5))
    guess = f"did you mean {near}? " if near else ""
    raise ValueError(f"unknown format {name!r}; {guess}refquant explain lists all")
