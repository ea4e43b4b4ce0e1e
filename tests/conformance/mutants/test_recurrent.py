"""The planted bugs of layers with a state, by whom they are found first."""

import pytest

from refquant_conformance.mutants import recurrent
from tests.conformance.mutants.first import first_killer

NAMES = [mutant.name for mutant in recurrent.MUTANTS]


def test_names_are_different() -> None:
    assert len(set(NAMES)) == len(NAMES), f"{sorted(NAMES)}"


@pytest.mark.parametrize("name", NAMES)
def test_the_property_that_is_named_finds_it_first(name: str) -> None:
    wanted = next(m.killed_by for m in recurrent.MUTANTS if m.name == name)
    for seed in range(3):
        found = first_killer(name, wanted.partition("-")[0], seed)
        assert found == wanted, f"{name}, seed {seed}: {found}"
