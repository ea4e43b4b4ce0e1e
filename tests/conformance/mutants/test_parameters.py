"""The planted bugs of chosen parameters, by whom they are found first."""

from refquant_conformance.mutants import parameters
from tests.conformance.mutants.first import BugsOf


class TestParameters(BugsOf):
    mutants = parameters.MUTANTS
    groups = ("QDQ", "QPS", "RQ")
    slow = True


def test_every_property_has_a_bug_of_its_own() -> None:
    named = {mutant.killed_by for mutant in parameters.MUTANTS}
    missing = {f"QPS-{k:02}" for k in range(1, 14)} - named
    assert not missing, f"no planted bug names {missing}"
