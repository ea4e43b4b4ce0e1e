"""RQ-10: the reference meets them, and the bugs that name them are found."""

import pytest

from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("rq_wide")


@pytest.mark.parametrize("identifier", IDS)
def test_the_reference_is_clean(identifier: str) -> None:
    assert_clean(identifier, "onnx")


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)
