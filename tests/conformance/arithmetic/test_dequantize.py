"""Dequantizers: four ways to mean a real, by hand and against the oracle."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.base import candidates
from refquant_conformance.arithmetic.dequantize import DEQUANTIZE, all_codes, dequantizer_case

WAYS = [axes["dequantize"] for axes in candidates(DEQUANTIZE)]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("scheme", ["u8_f32", "i8_f32", "i4_f32", "i16_f32", "i32_f32"])
def test_every_way_computes_what_the_oracle_counts(way: str, scheme: str) -> None:
    codes = all_codes(scheme)
    codes = codes[:: 1 + codes.size // 99]
    for scale in (0.1, 1 / 3, 2.0**-126):
        z = 0 if scheme == "i32_f32" else 1
        case = dequantizer_case(scheme, codes, scale, z)
        made = DEQUANTIZE.compute(case, {"dequantize": way})
        assert made is not None, "refused"
        for index in range(codes.size):
            counted = DEQUANTIZE.exact(case, {"dequantize": way}, "y", index)
            assert made["y"][index] == counted, f"{codes[index]} by {scale}: {counted}"


def test_the_ways_differ_by_hand() -> None:
    """(255 - 1) * 0.1: one rounding gives 25.4; the products 25.5 and 0.1 are rounded before."""
    case = dequantizer_case("u8_f32", np.arange(256), float(np.float32(0.1)), 1)
    one, other = (DEQUANTIZE.compute(case, {"dequantize": way}) for way in WAYS[:2])
    assert one is not None, "refused"
    assert other is not None, "refused"
    assert (one["y"] != other["y"]).any(), "multiplying first changes nothing"
    exact = np.float32(np.arange(256) - 1.0) * np.float32(0.1)
    assert (one["y"] == exact).all(), "subtracting first is one product"


def test_int32_codes_reach_beyond_float32() -> None:
    codes = all_codes("i32_f32")
    assert {-(2**31), 2**31 - 1, 2**24 + 1} <= set(codes.tolist()), "edges are missing"
