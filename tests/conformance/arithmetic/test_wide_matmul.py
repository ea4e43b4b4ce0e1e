"""Sums of 48 bits by hand (test_layers holds them against the oracle)."""

import numpy as np

from refquant_conformance.arithmetic.wide_matmul import WIDE_MATMUL, wide_case


def test_a_sum_beyond_32_bits_by_hand() -> None:
    a, b = np.full((1, 4096), 32767), np.full((4096, 1), 127)
    case = wide_case(a, b, np.ones(1), a_scale=2.0**-20, y_scale=1.0)
    total = 4096 * 32767 * 127
    assert total > 2**33, "no question"
    for mode in ("tflite_int64", "float64_half_away", "scale16"):
        made = WIDE_MATMUL.compute(case, {"requantize": mode})
        assert made is not None, "refused"
        assert made["y"].tolist() == [[round(total / 2**20)]], f"{mode}"
