"""Images in another size: the oracle counts the same, every way to round is told apart."""

import numpy as np
import pytest

from refquant_conformance.arithmetic import Arithmetic
from refquant_conformance.arithmetic.resize import (
    COORDINATES,
    RESIZE_BILINEAR,
    RESIZE_NEAREST,
    resize_case,
)
from tests.conformance.arithmetic.families import (
    assert_alone,
    assert_counted_again,
    assert_told_apart,
    computed,
)

BOTH = pytest.mark.parametrize(
    "arithmetic", [RESIZE_NEAREST, RESIZE_BILINEAR], ids=["nearest", "bilinear"]
)


@BOTH
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_the_oracle_counts_the_same(arithmetic: Arithmetic, scheme: str) -> None:
    assert_counted_again(arithmetic, scheme, each=5)


@BOTH
@pytest.mark.parametrize("scheme", ["u8", "i8"])
def test_probes_tell_every_value(arithmetic: Arithmetic, scheme: str) -> None:
    (axis,) = arithmetic.axes
    assert_told_apart(arithmetic, scheme, axis, {})


@BOTH
def test_an_element_needs_the_whole_image(arithmetic: Arithmetic) -> None:
    ((axis, values),) = arithmetic.axes.items()
    assert_alone(arithmetic, "u8", {axis: values[0]})


@pytest.mark.parametrize("coordinates", COORDINATES)
def test_the_same_size_is_the_same_image(coordinates: str) -> None:
    x = np.arange(20).reshape(1, 1, 4, 5) - 9
    for arithmetic in (RESIZE_NEAREST, RESIZE_BILINEAR):
        case = resize_case(arithmetic.op, "i8", x, (4, 5), coordinates)
        ((axis, values),) = arithmetic.axes.items()
        for value in set(values) - {"half_up"}:  # which is of unsigned codes
            seen = computed(arithmetic, case, {axis: value})
            assert np.array_equal(seen, x), f"{arithmetic.op} {value}: {seen}"


def test_twice_the_size_by_hand() -> None:
    x = np.array([10, 20]).reshape(1, 1, 1, 2)
    wanted = {"asymmetric": [10, 10, 20, 20], "half_pixel": [10, 10, 20, 20],
              "align_corners": [10, 10, 20, 20]}  # fmt: skip
    for coordinates, codes in wanted.items():
        case = resize_case("resize_nearest", "u8", x, (1, 4), coordinates)
        seen = computed(RESIZE_NEAREST, case, {"source": "exact"}).reshape(-1).tolist()
        assert seen == codes, f"{coordinates}: {seen}"
    between = {"asymmetric": [10, 15, 20, 20], "half_pixel": [10, 12, 17, 20],
               "align_corners": [10, 13, 16, 20]}  # fmt: skip
    for coordinates, codes in between.items():
        case = resize_case("resize_bilinear", "u8", x, (1, 4), coordinates)
        seen = computed(RESIZE_BILINEAR, case, {"interpolate": "truncated"}).reshape(-1).tolist()
        assert seen == codes, f"{coordinates}: {seen}"
