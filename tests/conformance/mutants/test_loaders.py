"""The planted bugs of loaders, by whom they are found first, whatever the seed."""

import pytest

from refquant_conformance.mutants.loaders import MUTANTS
from tests.conformance.loading import first_killer


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_the_property_that_is_named_finds_it_first(mutant) -> None:  # type: ignore[no-untyped-def]  # parametrized
    for seed in range(3):
        found = first_killer(mutant.name, seed)
        assert found == mutant.killed_by, f"{mutant.name}, seed {seed}: {found}"
