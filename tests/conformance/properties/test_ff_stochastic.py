"""FF-12 holds of the reference, and finds the bugs that name it."""

import numpy as np

from refquant_conformance.properties.ff_stochastic import reals_of, stochastic_case
from tests.conformance.properties_of import PropertiesOf


class TestFfStochastic(PropertiesOf):
    module = "ff_stochastic"


def test_codes_mean_what_the_format_says() -> None:
    assert reals_of("f32_e4m3fn", np.array([0x38, 0x39], np.uint8)).tolist() == [1.0, 1.125], (
        "by hand"
    )
    assert stochastic_case("f32_bf16", np.ones(2), 4).params == {"seed": 4}, "the seed is asked"
