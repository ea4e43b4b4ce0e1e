"""QPS-14 holds of the reference, and finds the bugs that name it."""

import numpy as np

from refquant_conformance.properties.qps_observers import squared_error
from tests.conformance.properties_of import PropertiesOf


class TestQpsObservers(PropertiesOf):
    module = "qps_observers"


def test_the_error_of_a_range_is_of_256_codes() -> None:
    x = np.array([-1.0, 0.0, 254.0, 300.0])
    assert squared_error(x, 0.0, 255.0) == 1.0 + 45.0**2, "what is cut off counts"
    assert squared_error(x, 0.0, 0.0) == float((x**2).sum()), "no range keeps nothing"
