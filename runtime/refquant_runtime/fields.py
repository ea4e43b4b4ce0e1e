"""Fields of a file's JSON, each of its type; every fault names the file, the place and a remedy."""

from pathlib import Path
from typing import Any, NoReturn

from refquant_runtime.errors import FormatError

__all__ = ["Fields"]

REWRITE = "write the file again"


class Fields:
    """Checks the JSON of one file.

    >>> Fields(Path("m.rq")).keys("graph", {"name": "g"}, {"name", "nodes"}, set())
    Traceback (most recent call last):
    refquant_runtime.errors.FormatError: m.rq: graph: lacks ['nodes']; write the file again
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def fail(self, where: str, problem: str, remedy: str = REWRITE) -> NoReturn:
        """Raise the error."""
        raise FormatError(self.path, where, problem, remedy)

    def keys(self, where: str, entry: Any, required: set[str], optional: set[str]) -> None:
        """Check that an object has all its keys and no other."""
        if not isinstance(entry, dict):
            self.fail(where, f"{entry!r:.60} is not a JSON object")
        if missing := sorted(required - entry.keys()):
            self.fail(where, f"lacks {missing}")
        if unknown := sorted(entry.keys() - required - optional):
            self.fail(where, f"unknown key {unknown[0]!r:.60}", "use a runtime that knows it")

    def kind(self, where: str, value: Any, kind: type) -> Any:
        """Return a value of exactly this type."""
        if type(value) is not kind:
            self.fail(where, f"{value!r:.60} is not of type {kind.__name__}")
        return value

    def names(self, where: str, value: Any) -> tuple[str, ...]:
        """Return a list of strings."""
        if not isinstance(value, list) or not all(isinstance(name, str) for name in value):
            self.fail(where, f"{value!r:.60} is not a list of names")
        return tuple(value)
