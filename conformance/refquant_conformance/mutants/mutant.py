"""What a planted bug is: a name, where it was seen, who must find it, and the change."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from refquant_conformance.protocol import Case, Result

__all__ = ["Host", "Mutant", "Run"]

Run = Callable[[Case], Result]


@dataclass(slots=True)
class Host:
    """What a backend has besides the case: its knobs, and whatever it keeps between cases."""

    knobs: dict[str, str | int] = field(default_factory=dict)
    memory: dict[Any, Any] = field(default_factory=dict)
    prepared: bool = False
    reloaded: bool = False


def _honest(case: Case, honest: Run) -> Result:
    return honest(case)


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug.

    ``killed_by`` is the property that must find it first, ``zoo`` the row it was seen in
    (``docs/findings.md``). ``run(case, honest)`` answers a case wrongly; ``honest`` is the
    reference with the preset ``preset``. A bug of settings or of memory has ``hosted`` instead,
    which is called with the backend's :class:`Host` too, and the ``knobs`` it listens to.
    """

    name: str
    sentence: str
    zoo: str
    killed_by: str
    op: str
    schemes: tuple[str, ...]
    run: Callable[[Case, Run], Result] = _honest
    preset: str = "onnx"
    hosted: Callable[[Case, Run, Host], Result] | None = None
    knobs: Mapping[str, tuple[str | int, ...]] = field(default_factory=dict)
