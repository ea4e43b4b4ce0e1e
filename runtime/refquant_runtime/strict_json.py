"""JSON with one meaning or none: what ``docs/spec/rq-format.md`` section 1 allows.

No key twice, no NaN or infinity (not even as 1e999), no integer beyond 64 bits, no lone surrogate,
no nesting deeper than 32. Any bytes give an object or a ``ValueError``, in time linear in their
number.
"""

import json
import math
import re
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "parse_json"]

MAX_DEPTH = 32
# A whole string, or a bracket outside of strings. Possessive: never tries another way.
_TOKEN = re.compile(rb'"[^"\\]*+(?:\\.[^"\\]*+)*+(?:"|\\?\Z)|[\[{\]}]', re.DOTALL)


def parse_json(text: bytes) -> dict[str, Any]:
    """Return the object that ``text`` is.

    >>> parse_json(b'{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> parse_json(b'{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ValueError: duplicate key 'a'
    """
    if _depth(text) > MAX_DEPTH:  # before the parser, which recurses
        raise ValueError(f"nested deeper than {MAX_DEPTH}")
    value = json.loads(
        text.decode("utf-8"),
        object_pairs_hook=_pairs,
        parse_constant=_constant,
        parse_int=_integer,
        parse_float=_number,
    )
    if not isinstance(value, dict):
        raise ValueError("not an object")
    # An escaped half of a character is a string to Python, but no text.
    if b"\\u" in text:
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    return value


def _pairs(items: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(items)
    if len(result) != len(items):
        seen: set[str] = set()
        for key, _ in items:
            if key in seen:
                raise ValueError(f"duplicate key {key!r:.60}")
            seen.add(key)
    return result


def _constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int:
    # Before int(): its time grows with the square of the digits.
    if len(digits) > 20 or not -(2**63) <= int(digits) < 2**63:
        raise ValueError(f"integer {digits[:24]} needs more than 64 bits")
    return int(digits)


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise ValueError(f"number {digits[:24]} is beyond float64")
    return value


def _depth(text: bytes) -> int:
    """Return the nesting depth of brackets; counting stops where it is too deep."""
    depth = deepest = 0
    for match in _TOKEN.finditer(text):
        token = match[0]
        if token in b"[{":
            depth += 1
            deepest = max(deepest, depth)
            if deepest > MAX_DEPTH:
                break
        elif token in b"]}":
            depth -= 1
    return deepest
