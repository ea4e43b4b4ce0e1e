"""The planted bugs of casts, by whom they are found first."""

import pytest

from refquant_conformance.mutants import casts
from tests.conformance.mutants.first import first_killer

NAMES = [mutant.name for mutant in casts.MUTANTS]


def test_every_property_has_a_bug_of_its_own() -> None:
    named = {mutant.killed_by for mutant in casts.MUTANTS}
    missing = {f"FF-{k:02}" for k in range(1, 15)} - {"FF-12"} - named
    assert not missing, f"no planted bug names {missing}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_property_that_is_named_finds_it_first_whatever_the_seed(name: str) -> None:
    wanted = next(m.killed_by for m in casts.MUTANTS if m.name == name)
    for seed in range(3):
        assert first_killer(name, "FF", seed) == wanted, f"{name}, seed {seed}"
