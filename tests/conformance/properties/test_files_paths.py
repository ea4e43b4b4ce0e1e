"""F-12 and F-13: the reference's readers meet them, and the bugs that name them are found."""

import pytest

from refquant_conformance.mutants.files import MUTANTS
from refquant_conformance.operators_formats import FILES
from tests.conformance.loading import loaded
from tests.conformance.planted import of_module

IDS = of_module("files_paths")


@pytest.mark.parametrize("identifier", IDS)
def test_the_readers_of_the_reference_are_clean(identifier: str) -> None:
    rows = [loaded("reference:onnx", identifier, scheme) for scheme in FILES]
    said = [row for row in rows if row is not None]
    assert said, f"{identifier} says nothing of any format"
    for row in said:
        assert row.verdict == "BIT_EXACT", f"{row.scheme}, {identifier}: {row.detail}"


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bugs_are_found(identifier: str) -> None:
    named = [mutant for mutant in MUTANTS if mutant.killed_by == identifier]
    assert named, f"no planted bug names {identifier}"
    for mutant in named:
        row = loaded(f"mutant:{mutant.name}", identifier, mutant.schemes[0])
        assert row is not None, f"{identifier} says nothing"
        assert row.verdict == "FAILS", f"{identifier} says {row.verdict} of {mutant.name}"
