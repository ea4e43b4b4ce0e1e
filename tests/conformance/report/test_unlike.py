"""The first element that differs: its place, its bits, other shapes, refusals, nothing at all."""

from typing import Any

import numpy as np

from refquant_conformance.report.unlike import first_unlike
from refquant_conformance.wire import array_to_json


def told(expected: dict[str, list[float]], observed: dict[str, list[float]]) -> tuple[str, str]:
    found: dict[str, Any] = {
        key: {n: array_to_json(np.array(v, np.float32), "float32") for n, v in outputs.items()}
        for key, outputs in (("expected", expected), ("observed", observed))
    }
    return first_unlike(found)


def test_an_element_far_behind_has_its_place() -> None:
    zeros = [0.0] * 999
    assert told({"y": [*zeros, 0.5]}, {"y": [*zeros, 0.25]}) == ("y[999] = 0.5", "y[999] = 0.25")


def test_one_element_needs_no_place_and_the_second_output_its_name() -> None:
    assert told({"y": [1.0]}, {"y": [2.0]}) == ("1.0", "2.0")
    both = told({"h": [1.0], "c": [3.0]}, {"h": [1.0], "c": [4.0]})
    assert both == ("c[0] = 3.0", "c[0] = 4.0")


def test_zeros_of_two_signs_differ_and_two_nans_do_not() -> None:
    assert told({"y": [0.0]}, {"y": [-0.0]}) == ("0.0", "-0.0")
    nan = float("nan")
    assert told({"y": [nan, 1.0]}, {"y": [nan, 2.0]}) == ("y[1] = 1.0", "y[1] = 2.0")


def test_another_shape_and_a_refusal_are_said_as_such() -> None:
    shapes = told({"y": [1.0, 2.0]}, {"y": [1.0]})
    assert shapes == ("y of shape [2]", "y of shape [1]")
    assert told({"y": [1.0]}, {}) == ("y of shape [1]", "refused")


def test_where_nothing_is_compared_nothing_is_said() -> None:
    assert told({}, {"y": [1.0]}) == ("", "")
    assert told({"y": [1.0]}, {"y": [1.0]}) == ("", "")
