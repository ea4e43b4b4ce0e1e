"""The planted bugs of casts, by whom they are found first."""

from refquant_conformance.mutants import casts
from tests.conformance.mutants.first import BugsOf


class TestCasts(BugsOf):
    mutants = casts.MUTANTS
    slow = True


def test_every_property_has_a_bug_of_its_own() -> None:
    named = {mutant.killed_by for mutant in casts.MUTANTS}
    missing = {f"FF-{k:02}" for k in range(1, 15)} - {"FF-12"} - named
    assert not missing, f"no planted bug names {missing}"
