"""Each property F holds of the reference's readers, and finds the bug that names it."""

import pytest

from refquant_conformance.mutants.loaders import MUTANTS
from tests.conformance.loading import loaded
from tests.conformance.planted import of_module

IDS = of_module("files")


@pytest.mark.parametrize("identifier", IDS)
def test_the_readers_of_the_reference_are_clean(identifier: str) -> None:
    rows = [loaded("reference:onnx", identifier, scheme) for scheme in ("gguf", "rq")]
    said = [row for row in rows if row is not None]
    assert said, f"{identifier} says nothing of any format"
    for row in said:
        assert row.verdict == "BIT_EXACT", f"{row.scheme}, {identifier}: {row.detail}"


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    named = [mutant for mutant in MUTANTS if mutant.killed_by == identifier]
    assert named, f"no planted bug names {identifier}"
    for mutant in named:
        row = loaded(f"mutant:{mutant.name}", identifier, mutant.schemes[0])
        assert row is not None, f"{identifier} says nothing"
        assert row.red, f"{identifier} says {row.verdict} of {mutant.name}"
