"""Each property of ``ff_rounding`` holds of the reference, and finds the bug that names it."""

import pytest

from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("ff_rounding")


@pytest.mark.parametrize("identifier", IDS)
@pytest.mark.parametrize("base", ["onnx", "tflite_reference"])
def test_the_reference_is_clean(identifier: str, base: str) -> None:
    assert_clean(identifier, base)


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)
