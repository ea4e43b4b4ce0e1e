"""The planted bugs of blocks, by whom they are found first."""

from refquant_conformance.mutants import blocks
from tests.conformance.mutants.first import BugsOf
from tests.conformance.planted import of_module


class TestBlocks(BugsOf):
    mutants = blocks.MUTANTS
    slow = True


def test_every_property_has_a_bug_of_its_own() -> None:
    missing = set(of_module("bs")) - {mutant.killed_by for mutant in blocks.MUTANTS}
    assert not missing, f"no planted bug names {missing}"
