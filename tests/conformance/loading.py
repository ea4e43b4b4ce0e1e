"""What tests of loaders share: one property, one format, one backend."""

import pytest

from refquant_conformance.adapters import load_backend
from refquant_conformance.inquiry import try_property
from refquant_conformance.mutants import MUTANTS
from refquant_conformance.operators_formats import FILES
from refquant_conformance.properties import PROPERTIES
from refquant_conformance.subject import Local
from refquant_conformance.trial import Trial
from refquant_conformance.verdict import Cell
from tests.conformance.planted import of_module


def loaded(spec: str, identifier: str, scheme: str, seed: int = 0) -> Cell | None:
    """Return what a property says of a loader."""
    subject = Local(load_backend(spec), spec)
    trial = Trial(subject, "load", scheme, None, None, seed=seed)
    return try_property(PROPERTIES[identifier], trial)


def first_killer(name: str, seed: int = 0) -> str:
    """Return the id of the first property F that a planted bug of a loader fails; "" for none."""
    for identifier in sorted(PROPERTIES):
        if identifier.startswith("F-") and "load" in PROPERTIES[identifier].ops:
            row = loaded(f"mutant:{name}", identifier, MUTANTS[name].schemes[0], seed)
            if row is not None and row.red:
                return identifier
    return ""


class ReadersOf:
    """The tests that every file of properties of loaders has, inherited as those of PropertiesOf.

    The reference's readers of ``schemes`` meet what ``module`` registers; each property finds the
    bugs that name it.
    """

    module: str
    schemes: tuple[str, ...] = FILES

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run each test once for every property: pytest calls this for every test."""
        metafunc.parametrize("identifier", of_module(self.module))

    def test_the_readers_of_the_reference_are_clean(self, identifier: str) -> None:
        rows = [loaded("reference:onnx", identifier, scheme) for scheme in self.schemes]
        said = [row for row in rows if row is not None]
        assert said, f"{identifier} says nothing of any format"
        for row in said:
            assert row.verdict == "BIT_EXACT", f"{row.scheme}, {identifier}: {row.detail}"

    def test_its_planted_bugs_are_found(self, identifier: str) -> None:
        named = [mutant for mutant in MUTANTS.values() if mutant.killed_by == identifier]
        assert named, f"no planted bug names {identifier}"
        for mutant in named:
            row = loaded(f"mutant:{mutant.name}", identifier, mutant.schemes[0])
            assert row is not None, f"{identifier} says nothing"
            assert row.verdict == "FAILS", f"{identifier} says {row.verdict} of {mutant.name}"
