"""What a planted bug is: a name, where it was seen, who must find it, and the change."""

from collections.abc import Callable
from dataclasses import dataclass

from refquant_conformance.protocol import Case, Result

__all__ = ["Mutant"]

Run = Callable[[Case], Result]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One bug.

    ``killed_by`` is the property that must find it first, ``zoo`` the row it was seen in
    (``docs/findings.md``). ``run(case, honest)`` answers a case wrongly; ``honest`` is the
    reference with the preset ``preset``.
    """

    name: str
    sentence: str
    zoo: str
    killed_by: str
    op: str
    schemes: tuple[str, ...]
    run: Callable[[Case, Run], Result]
    preset: str = "onnx"
