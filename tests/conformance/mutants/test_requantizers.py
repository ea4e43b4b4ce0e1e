"""The planted bugs of requantization, by whom they are found first."""

from refquant_conformance.mutants import requantizers
from tests.conformance.mutants.first import BugsOf


class TestRequantizers(BugsOf):
    mutants = requantizers.MUTANTS
    groups = ("QDQ", "QPS", "RQ")
    slow = True


def test_every_property_has_a_bug_of_its_own() -> None:
    named = {mutant.killed_by for mutant in requantizers.MUTANTS}
    missing = {f"RQ-{k:02}" for k in (*range(1, 10), 11)} - named
    assert not missing, f"no planted bug names {missing}"
