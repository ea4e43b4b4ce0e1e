"""The planted bugs of quantizers, by whom they are found first."""

import pytest

from refquant_conformance.mutants import quantizers
from tests.conformance.planted import killers

NAMES = [mutant.name for mutant in quantizers.MUTANTS]


def test_every_property_has_a_bug_of_its_own() -> None:
    named = {mutant.killed_by for mutant in quantizers.MUTANTS}
    missing = {f"QDQ-{k:02}" for k in range(1, 24)} - named
    assert not missing, f"no planted bug names {missing}"


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_the_property_that_is_named_finds_it_first_whatever_the_seed(name: str) -> None:
    wanted = next(m.killed_by for m in quantizers.MUTANTS if m.name == name)
    for seed in range(3):
        found = killers(name, seed)
        assert found[:1] == [wanted], f"{name}, seed {seed}: {found}"
