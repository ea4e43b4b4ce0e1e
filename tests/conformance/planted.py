"""What tests of properties and planted bugs share: one property, one cell, one backend."""

from collections.abc import Iterator

from refquant.contracts import preset
from refquant_conformance.adapters import load_backend
from refquant_conformance.adapters.reference_methods import METHODS
from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.inquiry import try_property
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.operators import OPERATORS
from refquant_conformance.properties import PROPERTIES, Property
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial
from refquant_conformance.verdict import Cell


def of_module(name: str) -> list[str]:
    """Return the ids of the properties that a module registers."""
    return sorted(p.id for p in PROPERTIES.values() if p.check.__module__.endswith(f".{name}"))


def cell(spec: str, one: Property, op: str, scheme: str, base: str, seed: int = 0) -> Cell | None:
    """Return what a property says of a cell, held to the contract of the preset ``base``."""
    arithmetic = arithmetic_of(op, scheme)
    if arithmetic is None and op not in METHODS:
        return None
    subject = Local(load_backend(spec), spec)
    axes = None if arithmetic is None else axes_of(preset(base), arithmetic)
    return try_property(one, Trial(subject, op, scheme, arithmetic, axes, seed=seed))


def cells_of_reference(identifier: str, base: str, seed: int = 0) -> Iterator[Cell]:
    """Yield what a property says of the reference, for every scheme of its operators."""
    one = PROPERTIES[identifier]
    for op in one.ops:
        for scheme in OPERATORS[op].schemes:
            found = cell(f"reference:{base}", one, op, scheme, base, seed)
            if found is not None:
                yield found


def cells_of_mutant(name: str, identifier: str, seed: int = 0) -> list[Cell]:
    """Return what a property says of a planted bug, for each scheme that it has."""
    mutant, one = MUTANTS[name], PROPERTIES[identifier]
    found = (
        cell(f"mutant:{name}", one, mutant.op, scheme, mutant.preset, seed)
        for scheme in mutant.schemes
    )
    return [row for row in found if row is not None]


def assert_clean(identifier: str, base: str, seed: int = 0) -> None:
    """The reference meets a property, which says something of at least one scheme."""
    rows = list(cells_of_reference(identifier, base, seed))
    assert rows, f"{identifier} says nothing of any scheme"
    for row in rows:
        assert not row.red, f"{base} {row.op} {row.scheme}, {identifier}: {row.detail}"


def assert_killed(identifier: str) -> None:
    """A planted bug names this property, and the property finds it."""
    named = [name for name, mutant in MUTANTS.items() if mutant.killed_by == identifier]
    assert named, f"no planted bug names {identifier}"
    for name in named:
        rows = cells_of_mutant(name, identifier)
        verdicts = [row.verdict for row in rows]
        assert "FAILS" in verdicts, f"{identifier} says {verdicts} of {name}"
        shown = [row.counterexample for row in rows if row.verdict == "FAILS"]
        assert all(shown), f"{identifier} has no counterexample for {name}"
