"""Names from files as text that a page may show.

A file may call a layer anything: markup, quotes, characters that turn the direction of what stands
beside them, ten thousand letters. Markup is the template's business, which escapes all text; here
is the rest: what does not print is written as Python would, and what is long is cut in the middle,
with its length, so that two long names that begin alike are still told apart.
"""

from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["LONGEST", "as_text", "flat", "number", "shown"]

LONGEST = 120
"""Characters of a name that are shown."""

_DEEPEST = 32


def shown(text: object, longest: int = LONGEST) -> str:
    r"""Return ``text`` with everything unprintable escaped, cut to ``longest`` characters.

    >>> shown("a\u202eb\n")
    'a\\u202eb\\n'
    >>> shown("x" * 5000 + "end", longest=20)
    'xxxxxxxx…xxend (5,003 characters)'
    """
    whole = str(text)
    if len(whole) <= longest:
        return _printable(whole)
    begin, end = whole[: longest * 2 // 5], whole[-(longest // 4) :]
    return f"{_printable(begin)}…{_printable(end)} ({len(whole):,} characters)"


def number(value: float | None, format: str, none: str = "-") -> str:
    """Return ``value`` by ``format``, ``none`` where there is none.

    >>> number(1234.5, ",.1f"), number(None, ".2f"), number(float("nan"), ".2f")
    ('1,234.5', '-', 'NaN')
    """
    if value is None:
        return none
    return "NaN" if value != value else f"{value:{format}}"


def flat(tree: Any, name: str = "", depth: int = 0) -> Iterator[tuple[str, str]]:
    """Yield (path, text) of everything in JSON that is no object with keys.

    >>> list(flat({"a": {"b": 1, "c": [True, None]}}))
    [('a.b', '1'), ('a.c', 'true none')]
    """
    if isinstance(tree, Mapping) and tree and depth < _DEEPEST:
        for key, value in tree.items():
            yield from flat(value, f"{name}.{key}" if name else str(key), depth + 1)
    else:
        yield name, as_text(tree)


def as_text(item: Any) -> str:
    """Return ``item`` of JSON as a cell of a table shows it.

    >>> as_text([True, 1.5, "a"]), as_text({}), as_text([])
    ('true 1.5 a', 'none', 'none')
    """
    if isinstance(item, list):
        return " ".join(as_text(part) for part in item) or "none"
    if item is None or item == {}:
        return "none"
    return str(item).lower() if isinstance(item, bool) else str(item)


def _printable(text: str) -> str:
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
