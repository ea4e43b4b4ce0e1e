"""FF-12 holds of the reference, and finds the bugs that name it."""

import numpy as np
import pytest

from refquant_conformance.properties.ff_stochastic import reals_of, stochastic_case
from tests.conformance.planted import assert_clean, assert_killed, of_module

IDS = of_module("ff_stochastic")


@pytest.mark.parametrize("identifier", IDS)
def test_the_reference_is_clean(identifier: str) -> None:
    assert_clean(identifier, "onnx")


@pytest.mark.parametrize("identifier", IDS)
def test_its_planted_bug_is_found(identifier: str) -> None:
    assert_killed(identifier)


def test_codes_mean_what_the_format_says() -> None:
    assert reals_of("f32_e4m3fn", np.array([0x38, 0x39], np.uint8)).tolist() == [1.0, 1.125], (
        "by hand"
    )
    assert stochastic_case("f32_bf16", np.ones(2), 4).params == {"seed": 4}, "the seed is asked"
