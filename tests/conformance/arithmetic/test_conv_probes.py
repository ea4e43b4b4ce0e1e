"""Products as pixels: the same accumulators, the same codes."""

import numpy as np

from refquant_conformance.arithmetic.conv import QLINEAR_CONV, QLINEAR_DEPTHWISE_CONV
from refquant_conformance.arithmetic.conv_probes import as_depthwise, as_pixels, scrambled, shapes
from refquant_conformance.arithmetic.matmul import QLINEAR_MATMUL
from refquant_conformance.arithmetic.product_probes import SCALES, near_ties
from tests.conformance.arithmetic.families import computed

AXES = {"requantize": "float_rne", "multiplier": "product_f32", "accumulator": "int32_wrap"}


def test_a_product_is_a_convolution_of_pixels_and_one_of_rows() -> None:
    case = near_ties("u8_i8", SCALES[5], 7)
    wanted = computed(QLINEAR_MATMUL, case, AXES)
    pixels = computed(QLINEAR_CONV, as_pixels(case), AXES)
    rows = computed(QLINEAR_DEPTHWISE_CONV, as_depthwise(case), AXES)
    assert np.array_equal(pixels[0, :, :, 0].T, wanted), "pixels"
    assert np.array_equal(rows[0, :, :, 0].T, wanted), "rows"


def test_windows_have_strides_dilations_pads_groups_and_a_bias() -> None:
    cases = shapes("u8_i8")
    assert any(case.params["group"] == 2 for case in cases), "a group"
    assert any(case.params["dilations"] == (2, 1) for case in cases), "dilations"
    assert any("bias" in case.inputs for case in cases), "a bias"


def test_scrambled_codes_fill_the_range_and_are_always_the_same() -> None:
    x = scrambled("int8", (4096,), 3)
    assert (x.min(), x.max()) == (-128, 127), f"{x.min()}, {x.max()}"
    assert np.array_equal(x, scrambled("int8", (4096,), 3)), "two calls differ"
    assert not np.array_equal(x, scrambled("int8", (4096,), 4)), "the salt does nothing"
