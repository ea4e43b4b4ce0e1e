"""Quantizers by their range: the oracle, and the one choice that stands for it."""

import numpy as np

from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.arithmetic.quantize_by_range import (
    in_range,
    in_range_exactly,
    range_again,
)


def test_the_oracle_counts_the_same() -> None:
    x = np.array([-9.0, -0.375, 0.125, 0.3, 40.0, np.nan], np.float32)
    for scale, point in ((0.25, 3), (0.1, 128), (1 / 3, 255)):
        case = case_of("f32_u8", x, scale, point)
        codes = in_range(case)["y"].tolist()
        assert codes == [in_range_exactly(case, k) for k in range(x.size)], f"{scale}, {point}"
        assert codes[-1] == 0, "NaN is the low end"


def test_one_choice_stands_for_it() -> None:
    stands = {"rounding": "half_even", "zero_point_at": "before_rounding", "nan": "qmin"}
    stands |= {"clamp": "before_rounding", "overflow": "saturate", "scale_op": "by_range"}
    assert not range_again(stands), "the one"
    for axis, value in (("rounding", "floor"), ("nan", "zero"), ("overflow", "wrap")):
        assert value in QUANTIZE.axes[axis], f"{value} is no value of {axis}"
        assert range_again({**stands, axis: value}), f"{axis} is not looked at"
    assert not range_again({**stands, "scale_op": "divide_f32", "nan": "zero"}), "no range"
