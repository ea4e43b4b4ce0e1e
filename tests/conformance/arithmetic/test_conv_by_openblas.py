"""Convolutions of reals as one product for all images: the oracle, dilations, what tells them."""

from dataclasses import replace

import numpy as np
import pytest

from refquant_conformance.arithmetic.conv import QLINEAR_DEPTHWISE_CONV
from refquant_conformance.arithmetic.conv_by_openblas import (
    OPENBLAS,
    conv_by_openblas,
    conv_by_openblas_exactly,
)
from refquant_conformance.arithmetic.conv_of_reals import conv_of_reals, conv_of_reals_exactly
from refquant_conformance.arithmetic.conv_probes import conv_case, scrambled
from refquant_conformance.protocol import Case, Param

Shape = tuple[int, ...]
WINDOWS: tuple[tuple[Shape, Shape, dict[str, Param]], ...] = (
    ((2, 3, 5, 4), (3, 1, 2, 2), {"pads": (1, 0, 0, 1), "strides": (2, 1)}),
    ((2, 3, 9, 9), (3, 1, 3, 3), {"dilations": (3, 3)}),  # 49 taps with the zeros between
    ((1, 2, 2, 2), (2, 1, 2, 2), {}),  # one column
    ((2, 2, 6, 5), (4, 1, 2, 3), {}),  # two filters a group
    ((2, 1, 8, 9), (1, 1, 7, 8), {}),  # long sums, eight columns
)


def drawn(number: int, scheme: str) -> Case:
    x, w, more = WINDOWS[number]
    bias = np.arange(w[0]) * 500 - 900 if number % 2 else None
    case = conv_case(
        scheme,
        scrambled("uint8", x, 1),
        scrambled("int8", w, 2),
        (0.1, 1 / 3, 90.0),
        (3, 0, 5),
        bias=bias,
        group=x[1],
    )
    return replace(case, op="qlinear_depthwise_conv", params={**case.params, **more})


@pytest.mark.parametrize("number", range(len(WINDOWS)))
@pytest.mark.parametrize("scheme", ["u8_i8", "u8_i8_channel"])
def test_the_oracle_counts_the_same(number: int, scheme: str) -> None:
    case = drawn(number, scheme)
    y = conv_by_openblas(case)["y"]
    assert np.unique(y).size > 1 or y.size == 2, "hardly any code was computed"
    for place in np.ndindex(y.shape):
        image, channel, *at = place
        counted = conv_by_openblas_exactly(case, image, channel, (at[0], at[1]))
        assert int(y[place]) == counted, f"window {number}, {place}"


@pytest.mark.parametrize("number", range(len(WINDOWS)))
def test_it_is_an_order_of_convolutions_of_reals(number: int) -> None:
    case = drawn(number, "u8_i8")
    y = conv_of_reals(case, OPENBLAS)["y"]
    assert (y == conv_by_openblas(case)["y"]).all(), "another convolution"
    same = conv_of_reals_exactly(case, OPENBLAS, 0, 0, (0, 0))
    assert same == conv_by_openblas_exactly(case, 0, 0, (0, 0)), "another oracle"


@pytest.mark.parametrize("number", range(len(WINDOWS)))
def test_with_powers_of_two_every_order_is_the_same(number: int) -> None:
    case = drawn(number, "u8_i8")
    scales = {"x_scale": 0.5, "w_scale": 0.25, "y_scale": 32.0, "w_zero_point": 3}
    inputs = {n: np.asarray(scales.get(n, a), a.dtype) for n, a in case.inputs.items()}
    plain = replace(case, inputs=inputs)
    assert (conv_by_openblas(plain)["y"] == conv_of_reals(plain, "reals_fused")["y"]).all(), (
        f"window {number}"
    )


def test_images_are_columns_of_one_matrix() -> None:
    case = next(
        case
        for case in QLINEAR_DEPTHWISE_CONV.probes("u8_i8")
        if case.inputs["w"].shape[3] == 150  # thousands of its sums are beside a tie
    )
    x = case.inputs["x"][:, :, :20]  # 20 columns: the first 4 are summed in another way
    two = x.reshape(1, -1, 2, 10, 150).swapaxes(0, 2)[:, :, 0].reshape(2, -1, 10, 150)
    y = conv_by_openblas(replace(case, inputs={**case.inputs, "x": two}))["y"]
    whole = conv_by_openblas(replace(case, inputs={**case.inputs, "x": x}))["y"]
    assert (np.concatenate([y[0], y[1]], axis=1) == whole[0]).all(), "images are summed apart"
    case = replace(case, inputs={**case.inputs, "x": two})
    for image, channel, row in np.ndindex(2, 10, 10):
        counted = conv_by_openblas_exactly(case, image, channel * 20, (row, 0))
        assert int(y[image, channel * 20, row, 0]) == counted, f"image {image}, row {row}"


def test_a_probe_tells_it_from_one_operation_after_the_other() -> None:
    axes = {"multiplier": "product_f32", "accumulator": "int32_wrap"}
    differing = 0
    for case in QLINEAR_DEPTHWISE_CONV.probes("u8_i8"):
        if 48 < np.prod(case.inputs["w"].shape[2:]) < 200:
            one, other = (
                QLINEAR_DEPTHWISE_CONV.compute(case, {**axes, "requantize": how})
                for how in (OPENBLAS, "reals_fused")
            )
            assert one is not None, "refused"
            assert other is not None, "refused"
            differing += int((one["y"] != other["y"]).sum())
    assert differing > 100, "no long window tells the orders apart"
