"""QPS-14 holds of the reference, and finds the bugs that name it."""

import numpy as np
import pytest

from refquant_conformance.properties.qps_observers import squared_error
from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("qps_observers")


@pytest.mark.parametrize("identifier", IDS)
def test_the_reference_is_clean(identifier: str) -> None:
    assert_clean(identifier, "onnx")


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)


def test_the_error_of_a_range_is_of_256_codes() -> None:
    x = np.array([-1.0, 0.0, 254.0, 300.0])
    assert squared_error(x, 0.0, 255.0) == 1.0 + 45.0**2, "what is cut off counts"
    assert squared_error(x, 0.0, 0.0) == float((x**2).sum()), "no range keeps nothing"
