"""BS-06 and BS-07 hold of the reference, and find the bugs that name them."""

import pytest

from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("bs_products")


@pytest.mark.parametrize("identifier", IDS)
def test_the_reference_is_clean(identifier: str) -> None:
    assert_clean(identifier, "onnx")


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)
