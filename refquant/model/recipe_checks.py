"""What every part of a recipe asks of its keys and values: that they are known, and say so if not.

An error names the key, what was got, and what is allowed: a recipe with a typing error must not
quietly become another recipe.
"""

from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any

__all__ = ["check_value", "field_names", "known_keys", "listed"]


def field_names(kind: Any) -> tuple[str, ...]:
    """Return the keys of a dataclass.

    >>> from refquant.model.graph import Dtype
    >>> field_names(Dtype)
    ('bits', 'qmin', 'qmax', 'container')
    """
    return tuple(item.name for item in fields(kind))


def known_keys(where: str, table: object, allowed: Collection[str]) -> None:
    """Refuse what is no table, and a key that is not ``allowed``.

    >>> known_keys("weights", {"bit": 8}, ["bits"])
    Traceback (most recent call last):
    ValueError: weights: unknown key 'bit' (value 8); allowed: 'bits'
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"{where}: a table, got {table!r}")
    for key, value in table.items():
        if key not in allowed:
            raise ValueError(
                f"{where}: unknown key {key!r} (value {value!r}); allowed: {listed(allowed)}"
            )


def check_value(where: str, value: object, allowed: Collection[Any]) -> None:
    """Refuse a value that is not ``allowed``, in value and in type.

    >>> check_value("weights.symmetric", 1, (False, True))
    Traceback (most recent call last):
    ValueError: weights.symmetric: unknown value 1; allowed: False, True
    """
    # subtle: 1 == True, so membership alone would let the integer 1 pass for a bool.
    if value not in allowed or type(value) not in {type(item) for item in allowed}:
        raise ValueError(f"{where}: unknown value {value!r}; allowed: {listed(allowed)}")


def listed(allowed: Collection[Any]) -> str:
    """Return the values as an error lists them.

    >>> listed((8, 4))
    '8, 4'
    """
    return ", ".join(repr(item) for item in allowed)
