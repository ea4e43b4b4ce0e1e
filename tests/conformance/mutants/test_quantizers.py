"""The planted bugs of quantizers, by whom they are found first."""

from refquant_conformance.mutants import quantizers
from tests.conformance.mutants.first import BugsOf


class TestQuantizers(BugsOf):
    mutants = quantizers.MUTANTS
    groups = ("QDQ", "QPS", "RQ")
    slow = True


def test_every_property_has_a_bug_of_its_own() -> None:
    named = {mutant.killed_by for mutant in quantizers.MUTANTS}
    missing = {f"QDQ-{k:02}" for k in range(1, 24)} - named
    assert not missing, f"no planted bug names {missing}"
