"""How rules are stated: what a file breaks, what this runtime cannot do, and kinds of attributes.

A broken rule raises ``ValueError`` with the rule, something valid that is not implemented
:class:`BeyondError`; :mod:`refquant_runtime.check` adds the file and the node.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "Attributes", "BeyondError", "Kind", "Operator", "Shape", "can", "check_attributes", "need",
]  # fmt: skip

Attributes = Mapping[str, Any]
Kind = str | tuple[int | str, ...]  # "int", "float", "ints", or the values there are
Shape = tuple[int, ...]
Rule = Callable[[Sequence[Shape | None], Attributes], list[Shape]]

_LARGEST = float(np.finfo(np.float32).max)
_FORM = {"int": "an integer", "float": "a float32", "ints": "a list of integers"}


@dataclass(frozen=True)
class Operator:
    """How many inputs (required, at most), which attributes, and how shapes follow."""

    required: int
    most: int
    attributes: Mapping[str, Kind]
    shapes: Rule


class BeyondError(ValueError):
    """Valid, but not implemented here."""


def need(condition: bool, rule: str) -> None:
    """Raise ``ValueError`` with the rule unless it holds."""
    if not condition:
        raise ValueError(rule)


def can(condition: bool, limit: str) -> None:
    """Raise :class:`BeyondError` with the limit unless this runtime can do it."""
    if not condition:
        raise BeyondError(limit)


def check_attributes(attributes: Attributes, kinds: Mapping[str, Kind]) -> None:
    """Check that every attribute is known and of its kind.

    >>> check_attributes({"axis": 1.5}, {"axis": "int"})
    Traceback (most recent call last):
    ValueError: attribute axis must be an integer, got 1.5
    """
    for name, value in attributes.items():
        if name not in kinds:
            raise ValueError(f"unknown attribute {name!r}; it has {sorted(kinds)}")
        kind = kinds[name]
        rule = _FORM[kind] if isinstance(kind, str) else f"one of {list(kind)}"
        need(_is(value, kind), f"attribute {name} must be {rule}, got {value!r:.60}")


def _is(value: Any, kind: Kind) -> bool:
    if kind == "ints":
        return isinstance(value, list) and all(type(item) is int for item in value)
    if kind == "int":
        return type(value) is int
    if kind == "float":
        return type(value) in (int, float) and abs(value) <= _LARGEST
    return type(value) in (int, float, str) and value in kind
