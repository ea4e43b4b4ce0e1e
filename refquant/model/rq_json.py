"""JSON without its loose ends: the JSON of docs/spec/rq-format.md, section 1.

Python's parser accepts more than the standard (NaN, duplicate keys, integers of a million digits,
lone surrogates, any depth). Here a text has one meaning or none:

* a key stands once in its object;
* no NaN, no infinity, not even by overflow (1e999);
* an integer is in [-2^63, 2^63 - 1];
* containers nest at most 32 deep;
* every string can be written as UTF-8.

Every refusal is a `JsonError`; no text whatever raises anything else.
"""

import json
import math
from typing import Any, NoReturn

__all__ = ["MAX_DEPTH", "JsonError", "check_json", "dumps", "loads"]

MAX_DEPTH = 32
_INT_MIN, _INT_MAX = -(2**63), 2**63 - 1


class JsonError(ValueError):
    """Not the JSON of the specification; the message says the rule and the remedy."""


def loads(text: str) -> Any:
    """Parse ``text`` strictly.

    >>> loads('{"a": [1, 2.5]}')
    {'a': [1, 2.5]}
    >>> loads('{"a": 1, "a": 2}')
    Traceback (most recent call last):
    ...
    refquant.model.rq_json.JsonError: the key 'a' stands twice in one object; remove one
    """
    try:
        tree = json.loads(
            text,
            object_pairs_hook=_object,
            parse_int=_integer,
            parse_float=_number,
            parse_constant=_constant,
        )
    except json.JSONDecodeError as error:
        raise JsonError(f"not JSON: {error}; write the file again") from None
    except RecursionError:  # C stack limit of the parser: far above ours
        raise JsonError(_too_deep()) from None
    check_json(tree)
    return tree


def check_json(tree: Any) -> None:
    """Refuse a tree of Python objects that `dumps` would change or that `loads` would refuse.

    It walks without recursion: depth is data, and data must not reach the interpreter's stack.
    """
    stack: list[tuple[Any, int]] = [(tree, 1)]
    while stack:
        item, depth = stack.pop()
        if isinstance(item, str):
            _check_text(item)
        elif isinstance(item, bool) or item is None:
            continue
        elif isinstance(item, int):
            if not _INT_MIN <= item <= _INT_MAX:
                raise JsonError(f"an integer is in [-2^63, 2^63 - 1], got one of {_digits(item)}")
        elif isinstance(item, float):
            if not math.isfinite(item):
                raise JsonError(f"a number is finite, got {item}; JSON has no NaN or infinity")
        elif isinstance(item, list | dict):
            if depth > MAX_DEPTH:
                raise JsonError(_too_deep())
            stack.extend((child, depth + 1) for child in _children(item))
        else:
            raise JsonError(f"{type(item).__name__} has no JSON; use dict, list, str or numbers")


def dumps(tree: Any) -> str:
    """Write ``tree`` in the one canonical form: sorted keys, no spaces, shortest numbers.

    >>> dumps({"b": 0.1, "a": [1, "é"]})
    '{"a":[1,"é"],"b":0.1}'
    """
    check_json(tree)
    return json.dumps(
        tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )


def _children(item: list[Any] | dict[Any, Any]) -> list[Any]:
    if isinstance(item, list):
        return item
    for key in item:
        if not isinstance(key, str):
            raise JsonError(f"a key is a string, got {type(key).__name__} {key!r}")
        _check_text(key)
    return list(item.values())


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    result = dict(pairs)
    if len(result) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise JsonError(f"the key {key!r} stands twice in one object; remove one")
            seen.add(key)
    return result


def _integer(digits: str) -> int:
    if len(digits) > 20:  # before int(): converting n digits takes n^2 steps
        raise JsonError(f"an integer is in [-2^63, 2^63 - 1], got one of {len(digits)} digits")
    return int(digits)  # its range is checked by check_json


def _number(digits: str) -> float:
    value = float(digits)
    if not math.isfinite(value):
        raise JsonError(f"a number is finite, got {digits[:40]}; write one that float64 can hold")
    return value


def _constant(name: str) -> NoReturn:
    raise JsonError(f"{name} is not JSON; write a finite number")


def _check_text(text: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        raise JsonError(f"a string is Unicode text, got a lone surrogate in {text!r}") from None


def _digits(value: int) -> str:
    return f"{value.bit_length()} bits"


def _too_deep() -> str:
    return f"JSON nests deeper than {MAX_DEPTH}; flatten it"
