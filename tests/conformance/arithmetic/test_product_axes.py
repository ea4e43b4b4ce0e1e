"""The axes of products: what has no multiplier is one choice, and clamps are codes."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import Arithmetic
from refquant_conformance.arithmetic.conv import QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV
from refquant_conformance.arithmetic.matmul import QLINEAR_MATMUL
from refquant_conformance.arithmetic.product_axes import (
    MATMUL_AXES,
    PRODUCT_AXES,
    again_or_no_multiplier,
    idle,
    limits_of,
    with_bias,
)
from refquant_conformance.arithmetic.product_probes import product_case


def test_what_has_no_multiplier_is_one_choice() -> None:
    for how in ("reals_fused", "reals_mlas", "by_range_of_reals"):
        left = [
            (m, a)
            for m in PRODUCT_AXES["multiplier"]
            for a in PRODUCT_AXES["accumulator"]
            if not again_or_no_multiplier({"requantize": how, "multiplier": m, "accumulator": a})
        ]
        assert left == [("product_f32", "int32_wrap")], how


def test_a_range_has_accumulators() -> None:
    axes = {
        "requantize": "by_range",
        "multiplier": "product_f32",
        "accumulator": "i16_pair_saturate",
    }
    assert not again_or_no_multiplier(axes), "sums of codes may saturate"
    assert again_or_no_multiplier({**axes, "multiplier": "product_f64"}), "no multiplier"


def test_limits_are_those_of_the_activation_or_of_the_type() -> None:
    one = np.ones((1, 1))
    assert limits_of(product_case("i8_i8", one, one)) == (-128, 127), "the type"
    assert limits_of(product_case("u8_i8", one, one, clamp_max=9)) == (0, 9), "the activation"


def test_a_bias_may_decide() -> None:
    how = MATMUL_AXES["requantize"][-1]
    axes = {"requantize": how, "multiplier": "product_f32", "accumulator": "int32_wrap"}
    one = np.ones((1, 1))
    found = [
        with_bias(product_case("i8_i8", one, one, bias=bias), axes)["requantize"]
        for bias in (None, np.ones(1))
    ]
    assert found == ["reals_mlas", "float_rne"], f"{found}"
    assert not again_or_no_multiplier(axes), "a choice of its own"
    assert again_or_no_multiplier({**axes, "accumulator": "int32_exact"}), "without a multiplier"


@pytest.mark.parametrize("arithmetic", [QLINEAR_MATMUL, QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV])
def test_what_is_idle_changes_nothing(arithmetic: Arithmetic) -> None:
    probes = arithmetic.probes("u8_i8")[::4]
    for mode in arithmetic.axes["requantize"]:
        first = {axis: values[0] for axis, values in arithmetic.axes.items()}
        axes = {**first, "requantize": mode}
        for axis in idle(axes):
            other = {**axes, axis: arithmetic.axes[axis][-1]}
            for case in probes:
                one, two = arithmetic.compute(case, axes), arithmetic.compute(case, other)
                assert (one is None) == (two is None), f"{mode}: {axis} decides what is refused"
                if one is not None and two is not None:
                    assert one["y"].tolist() == two["y"].tolist(), f"{mode}: {axis} matters"


def test_most_modes_have_no_idle_axis() -> None:
    assert idle({"requantize": "float_rne"}) == (), "a multiplier, and sums of codes"
