"""Whether a planted bug is found, by whom, and whatever the seed."""

from collections.abc import Iterable
from dataclasses import dataclass

from refquant_conformance.judge import judge
from refquant_conformance.mutants import Mutant, load
from refquant_conformance.profiles import Profile
from refquant_conformance.subject import Local

__all__ = ["Kill", "kill"]


@dataclass(frozen=True, slots=True)
class Kill:
    """The properties that found a mutant with every seed."""

    mutant: Mutant
    killed_by: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether the property that must find it did."""
        return self.mutant.killed_by in self.killed_by


def kill(mutant: Mutant, profile: Profile, seeds: Iterable[int], *, matrix: bool) -> Kill:
    """Judge a mutant once for each seed; return the properties that failed each time.

    Without ``matrix`` only the property that must find it is tried.

    >>> from refquant_conformance.mutants import MUTANTS
    >>> from refquant_conformance.profiles import PROFILES
    >>> kill(MUTANTS["half_away"], PROFILES["ci"], [0], matrix=False).as_expected
    True
    """
    wanted = () if matrix else (mutant.killed_by,)
    always: set[str] | None = None
    for seed in seeds:
        found = judge(
            Local(load(mutant.name), f"mutant:{mutant.name}"),
            profile=profile,
            seed=seed,
            properties=wanted,
        )
        red = {cell.property for cell in found.cells if cell.verdict in ("FAILS", "CRASHED")}
        always = red if always is None else always & red
    return Kill(mutant, tuple(sorted(always or ())))
