"""The tests that every file of planted bugs has: the property that a bug names finds it first.

The mirrored test of ``refquant_conformance/mutants/norms.py`` inherits them, and says which bugs::

    class TestNorms(BugsOf):
        mutants = norms.MUTANTS
"""

import pytest

from refquant_conformance.mutants import MUTANTS
from refquant_conformance.mutants.mutant import Mutant
from refquant_conformance.properties import PROPERTIES
from tests.conformance.planted import cells_of_mutant

__all__ = ["BugsOf", "first_killer"]


def first_killer(name: str, groups: tuple[str, ...], seed: int = 0) -> str:
    """Return the id of the first property of ``groups`` that fails on a mutant; "" for none."""
    for identifier, one in sorted(PROPERTIES.items()):
        if MUTANTS[name].op in one.ops and identifier.partition("-")[0] in groups:
            rows = cells_of_mutant(name, identifier, seed)
            if any(row.verdict == "FAILS" for row in rows):
                return identifier
    return ""


class BugsOf:
    """Tests of ``mutants``: each is found by the property it names, before others of ``groups``.

    Without ``groups``, before the others of its own group.
    """

    mutants: tuple[Mutant, ...]
    groups: tuple[str, ...] = ()
    slow = False

    def pytest_generate_tests(self, metafunc: pytest.Metafunc) -> None:
        """Run a test once for each bug: pytest calls this for every test."""
        if "mutant" in metafunc.fixturenames:
            marks = [pytest.mark.slow] * self.slow
            bugs = [pytest.param(one, id=one.name, marks=marks) for one in self.mutants]
            metafunc.parametrize("mutant", bugs)

    def test_names_are_different(self) -> None:
        names = sorted(mutant.name for mutant in self.mutants)
        assert len(set(names)) == len(names), f"{names}"

    def test_the_property_that_is_named_finds_it_first_whatever_the_seed(
        self, mutant: Mutant
    ) -> None:
        wanted = mutant.killed_by
        for seed in range(3):
            found = first_killer(mutant.name, self.groups or (wanted.partition("-")[0],), seed)
            assert found == wanted, f"{mutant.name}, seed {seed}: {found}"
