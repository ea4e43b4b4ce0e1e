"""The planted bugs of what files say, by whom they are found first, whatever the seed."""

import pytest

from refquant_conformance.mutants.files import MUTANTS
from tests.conformance.loading import first_killer
from tests.conformance.mutants.first import first_killer as first_of_group

LOADERS = [mutant for mutant in MUTANTS if mutant.op == "load"]
OTHERS = [mutant for mutant in MUTANTS if mutant.op != "load"]


@pytest.mark.slow
@pytest.mark.parametrize("mutant", LOADERS, ids=lambda mutant: mutant.name)
def test_the_property_that_is_named_finds_it_first(mutant) -> None:  # type: ignore[no-untyped-def]  # parametrized
    for seed in range(3):
        found = first_killer(mutant.name, seed)
        assert found == mutant.killed_by, f"{mutant.name}, seed {seed}: {found}"


@pytest.mark.parametrize("mutant", OTHERS, ids=lambda mutant: mutant.name)
def test_what_is_saved_is_found_too(mutant) -> None:  # type: ignore[no-untyped-def]  # parametrized
    groups = (mutant.killed_by.partition("-")[0],)
    assert first_of_group(mutant.name, groups) == mutant.killed_by, f"{mutant.name}"
