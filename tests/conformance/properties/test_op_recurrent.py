"""Each property of ``op_recurrent`` holds of the reference, and finds the bug that names it."""

import pytest

from refquant_conformance.mutants import MUTANTS
from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("op_recurrent")


@pytest.mark.parametrize("identifier", IDS)
def test_the_reference_is_clean(identifier: str) -> None:
    assert_clean(identifier, "onnx")


def test_every_property_has_a_bug_that_names_it() -> None:
    named = {mutant.killed_by for mutant in MUTANTS.values()}
    assert set(IDS) <= named, f"{set(IDS) - named}"


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)


@pytest.mark.slow
@pytest.mark.parametrize("identifier", IDS)
@pytest.mark.parametrize("base", ["xnnpack", "ort"])
def test_the_reference_is_clean_whatever_the_seed(identifier: str, base: str) -> None:
    for seed in range(5):
        assert_clean(identifier, base, seed)
