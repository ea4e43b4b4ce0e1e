"""Whether planted bugs are found, by whom, and whatever the seed."""

from collections.abc import Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from refquant_conformance.judge import judge
from refquant_conformance.mutants import MUTANTS, Mutant, load
from refquant_conformance.profiles import Profile
from refquant_conformance.subject import Local

__all__ = ["Kill", "kill", "kill_all"]


@dataclass(frozen=True, slots=True)
class Kill:
    """The properties that found a mutant with every seed, in the order of their ids."""

    mutant: Mutant
    killed_by: tuple[str, ...]

    @property
    def as_expected(self) -> bool:
        """Whether the property that must find it did."""
        return self.mutant.killed_by in self.killed_by

    @property
    def first(self) -> str:
        """The property of the expected one's group that finds it first; "" for a survivor.

        >>> Kill(MUTANTS["half_away"], ("OP-01", "QDQ-02", "QDQ-04")).first
        'QDQ-02'
        """
        group = self.mutant.killed_by.partition("-")[0]
        return next((one for one in self.killed_by if one.partition("-")[0] == group), "")


def kill(mutant: Mutant, profile: Profile, seeds: Iterable[int], *, matrix: bool) -> Kill:
    """Judge a mutant once for each seed; return the properties that failed each time.

    Without ``matrix`` only the property that must find it is tried.

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


def kill_all(
    names: Sequence[str], profile: Profile, seeds: Sequence[int], *, matrix: bool, jobs: int = 1
) -> list[Kill]:
    """Return what ``kill`` says of each name, asked in ``jobs`` processes at once.

    The answer does not depend on ``jobs``. ``ValueError`` for less than one.

    >>> from refquant_conformance.profiles import PROFILES
    >>> [one.as_expected for one in kill_all(["half_away"], PROFILES["ci"], [0], matrix=False)]
    [True]
    """
    if jobs < 1:
        raise ValueError(f"jobs must be >= 1, got {jobs}")
    if jobs == 1 or len(names) < 2:
        return [kill(MUTANTS[name], profile, seeds, matrix=matrix) for name in names]
    with ProcessPoolExecutor(min(jobs, len(names)), get_context("spawn")) as pool:
        asked = [pool.submit(_killers, name, profile, seeds, matrix) for name in names]
        return [Kill(MUTANTS[n], one.result()) for n, one in zip(names, asked, strict=True)]


def _killers(name: str, profile: Profile, seeds: Sequence[int], matrix: bool) -> tuple[str, ...]:
    """Return the killers of a mutant by its name: mutants hold functions, which do not travel."""
    return kill(MUTANTS[name], profile, seeds, matrix=matrix).killed_by
