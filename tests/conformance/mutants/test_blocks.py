"""The planted bugs of blocks, by whom they are found first."""

import pytest

from refquant_conformance.mutants import blocks
from tests.conformance.mutants.first import first_killer
from tests.conformance.planted import of_module

NAMES = [mutant.name for mutant in blocks.MUTANTS]


def test_every_property_has_a_bug_of_its_own() -> None:
    missing = set(of_module("bs")) - {mutant.killed_by for mutant in blocks.MUTANTS}
    assert not missing, f"no planted bug names {missing}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_property_that_is_named_finds_it_first_whatever_the_seed(name: str) -> None:
    wanted = next(m.killed_by for m in blocks.MUTANTS if m.name == name)
    for seed in range(3):
        assert first_killer(name, "BS", seed) == wanted, f"{name}, seed {seed}"
