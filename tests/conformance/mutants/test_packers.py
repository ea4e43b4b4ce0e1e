"""The planted bugs of packers, by whom they are found first."""

from refquant_conformance.mutants import packers
from tests.conformance.mutants.first import BugsOf
from tests.conformance.planted import of_module


class TestPackers(BugsOf):
    mutants = packers.MUTANTS
    slow = True


def test_every_property_has_a_bug_of_its_own() -> None:
    missing = set(of_module("pk")) - {mutant.killed_by for mutant in packers.MUTANTS}
    assert not missing, f"no planted bug names {missing}"
