"""Planted bugs: backends that are wrong in one way each, so that the judge can be judged.

A mutant is the reference with one thing changed, and declares the contract of the reference: what
it does is a bug, not another arithmetic. Each names the row of the zoo it comes from and the
property that must find it. ``refquant-conformance mutants`` runs the whole suite on every mutant.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import numpy as np

from refquant_conformance.adapters.reference import Reference
from refquant_conformance.arithmetic import Axes
from refquant_conformance.mutants import (
    blocks,
    casts,
    files,
    hosts,
    layers,
    loaders,
    methods,
    movement,
    norms,
    operators,
    packers,
    parameters,
    products,
    quantizers,
    recurrent,
    requantizers,
    weights,
)
from refquant_conformance.mutants.mutant import Host, Mutant
from refquant_conformance.protocol import Capability, Case, Info, Result, Unsupported

__all__ = ["MUTANTS", "Mutant", "by_name", "load"]

_FAMILIES = (
    quantizers,
    parameters,
    requantizers,
    hosts,
    casts,
    products,
    operators,
    movement,
    weights,
    norms,
    recurrent,
    packers,
    blocks,
    loaders,
    methods,
    files,
    layers,
)


def by_name(every: Iterable[Mutant]) -> dict[str, Mutant]:
    """Return bugs by name; ``ValueError`` for a name of two: one of them would never be asked.

    >>> by_name([MUTANTS["half_away"]])["half_away"].op
    'quantize_linear'
    """
    found: dict[str, Mutant] = {}
    for one in every:
        if found.setdefault(one.name, one) is not one:
            raise ValueError(f"two mutants are called {one.name!r}")
    return found


MUTANTS = by_name(one for family in _FAMILIES for one in family.MUTANTS)
"""Every planted bug by name."""


@dataclass(slots=True)
class _Backend:
    """A mutant behind the protocol."""

    mutant: Mutant
    honest: Reference
    host: Host = field(default_factory=Host)

    def info(self) -> Info:
        details = {"bug": self.mutant.sentence}
        return Info(f"mutant:{self.mutant.name}", "1", dict(self.mutant.knobs), details)

    def capabilities(self) -> Iterable[Capability]:
        return [Capability(self.mutant.op, scheme) for scheme in self.mutant.schemes]

    def declared(self, op: str) -> Axes | None:
        return self.honest.declared(op)

    def configure(self, **knobs: str | int) -> None:
        self.host.knobs.update(knobs)

    def prepare(self, case: Case) -> "_Backend":
        return replace(self, host=Host(self.host.knobs, prepared=True))

    def reload(self, case: Case) -> "_Backend":
        return replace(self, host=Host(self.host.knobs, reloaded=True))

    def load_bytes(self, file_format: str, data: bytes) -> None:
        if self.mutant.op != "load" or file_format not in self.mutant.schemes:
            raise Unsupported("this bug is not one of loaders")
        x = np.frombuffer(data, np.uint8)
        changed: Callable[[Case, Callable[[Case], Result]], Result] = self.mutant.run
        changed(Case("load", file_format, {"x": x}), self._loaded)

    def _loaded(self, case: Case) -> Result:
        self.honest.load_bytes(case.scheme, case.inputs["x"].tobytes())
        return Result({})

    def run(self, case: Case) -> Result:
        if self.mutant.hosted is not None:
            return self.mutant.hosted(case, self.honest.run, self.host)
        changed: Callable[[Case, Callable[[Case], Result]], Result] = self.mutant.run
        return changed(case, self.honest.run)


def load(setting: str = "") -> _Backend:
    """Return the backend of the mutant of that name.

    >>> load("half_away").info().name
    'mutant:half_away'
    """
    if setting not in MUTANTS:
        raise ValueError(f"no mutant {setting!r}; there are {', '.join(MUTANTS)}")
    mutant = MUTANTS[setting]
    return _Backend(mutant, Reference(mutant.preset))
