"""Each property of ``qdq_laws`` holds of the reference, and finds the bug that names it."""

import pytest

from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("qdq_laws")


@pytest.mark.parametrize("identifier", IDS)
@pytest.mark.parametrize("base", ["onnx", "torch", "tflite_builtin"])
def test_the_reference_is_clean(identifier: str, base: str) -> None:
    assert_clean(identifier, base)


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)


@pytest.mark.slow
@pytest.mark.parametrize("identifier", IDS)
@pytest.mark.parametrize("base", ["onnx", "xnnpack", "tflite_reference", "fbgemm", "ort"])
def test_the_reference_is_clean_whatever_the_seed(identifier: str, base: str) -> None:
    for seed in range(5):
        assert_clean(identifier, base, seed)
