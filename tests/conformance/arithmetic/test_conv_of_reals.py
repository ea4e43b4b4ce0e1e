"""Convolutions of what codes mean: the oracle, and windows that make their image the factor."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.arithmetic import arithmetic_of
from refquant_conformance.arithmetic.conv_of_reals import conv_of_reals, conv_of_reals_exactly
from refquant_conformance.arithmetic.conv_probes import conv_case, scrambled
from refquant_conformance.arithmetic.real_sums import ORDERS
from refquant_conformance.protocol import Case, Param

WINDOWS: tuple[tuple[int, tuple[int, ...], tuple[int, ...], dict[str, Param]], ...] = (
    (1, (2, 3, 5, 4), (4, 3, 2, 2), {"pads": (1, 0, 0, 1), "strides": (2, 1)}),
    (3, (1, 3, 6, 3), (3, 1, 2, 3), {}),  # as wide as the image: transposed
    (1, (1, 9, 1, 1), (7, 9, 1, 1), {}),  # one column
    (2, (1, 4, 4, 4), (4, 2, 3, 3), {"dilations": (1, 1)}),
)


def drawn(number: int, scheme: str) -> Case:
    group, x, w, more = WINDOWS[number]
    codes = "int8" if scheme.startswith("i8") else "uint8"
    bias = np.arange(w[0]) * 500 - 900 if number % 2 else None
    case = conv_case(
        scheme,
        scrambled(codes, x, 1),
        scrambled("int8", w, 2),
        (0.1, 1 / 3, 90.0),
        (3, 0, 5),
        bias=bias,
        group=group,
    )
    return replace(case, params={**case.params, **more})


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("number", range(len(WINDOWS)))
@pytest.mark.parametrize("scheme", ["u8_i8", "i8_i8_channel"])
def test_the_oracle_counts_the_same(order: str, number: int, scheme: str) -> None:
    case = drawn(number, scheme)
    y = conv_of_reals(case, order)["y"]
    assert np.unique(y).size > 2, "hardly any code was computed"
    for place in np.ndindex(y.shape):
        image, channel, *at = place
        counted = conv_of_reals_exactly(case, order, image, channel, (at[0], at[1]))
        assert int(y[place]) == counted, f"{order}, window {number}, {place}"


def test_with_powers_of_two_it_is_the_specifications_choice() -> None:
    family = arithmetic_of("qlinear_conv", "u8_i8")
    assert family is not None, "no family"
    axes = {"multiplier": "product_f32", "accumulator": "int32_wrap", "requantize": "float_rne"}
    for number in range(len(WINDOWS)):
        case = drawn(number, "u8_i8")
        scales = {"x_scale": 0.5, "w_scale": 0.25, "y_scale": 32.0}
        inputs = {**case.inputs, **{n: np.array(s, np.float32) for n, s in scales.items()}}
        plain = Case(case.op, case.scheme, inputs, case.params, case.types)
        spec = family.compute(plain, axes)
        assert spec is not None, "refused"
        assert (conv_of_reals(plain, "reals_mlas")["y"] == spec["y"]).all(), f"window {number}"
