"""Tables of a TOML file to the values of a recipe, and back."""

from collections.abc import Mapping
from dataclasses import is_dataclass
from typing import Any

from refquant.model.recipe_checks import field_names, known_keys
from refquant.model.recipe_rules import Override

__all__ = ["as_table", "overrides_of", "table_of"]


def overrides_of(tables: object) -> tuple[Override, ...]:
    """Return the overrides that a list of tables says.

    >>> overrides_of([{"nodes": "head", "exclude": True}])[0].nodes
    'head'
    """
    if not isinstance(tables, list):
        raise ValueError(f"override: a list of tables, [[override]], got {tables!r}")
    for table in tables:
        if isinstance(table, dict) and "nodes" not in table:
            raise ValueError(f"override: 'nodes' is missing in {table!r}; add a pattern")
    return tuple(table_of(Override, "override", table) for table in tables)


def table_of(kind: Any, where: str, table: object) -> Any:
    """Return the dataclass ``kind`` of a TOML table; None for none.

    >>> table_of(Override, "override", {"nodes": "head", "skip": True})
    Traceback (most recent call last):
    ValueError: override: unknown key 'skip' (value True); allowed: 'nodes', 'op', 'exclude', \
'weights', 'weight'
    """
    if table is None:
        return None
    if not isinstance(table, dict):
        raise ValueError(f"{where}: a table, [{where}], got {table!r}")
    known_keys(where, table, field_names(kind))
    return kind(**table)


def as_table(part: Any) -> dict[str, Any]:
    """Return the fields that are set, in JSON's types.

    >>> as_table(Override("head", exclude=True))
    {'nodes': 'head', 'exclude': True, 'weights': {}}
    """
    items = {name: getattr(part, name) for name in field_names(type(part))}
    return {
        name: dict(value)
        if isinstance(value, Mapping)
        else as_table(value)
        if is_dataclass(value)
        else value
        for name, value in items.items()
        if value is not None
    }
