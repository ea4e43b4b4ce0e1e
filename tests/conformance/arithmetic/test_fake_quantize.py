"""Codes by the range of a quantizer: worked values, and the oracle."""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.arithmetic.fake_quantize import by_range, reals_by_range, sums_by_range
from refquant_conformance.arithmetic.matmul import MATMUL_INTEGER, QLINEAR_MATMUL
from refquant_conformance.arithmetic.product_probes import product_case
from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.oracle_fake_quantize import range_exact, sum_by_range_exact

RANGES = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}
BY_RANGE = {
    **{"rounding": "half_even", "scale_op": "by_range", "zero_point_at": "before_rounding"},
    **{"clamp": "before_rounding", "overflow": "saturate", "nan": "qmin"},
}
SUMS = {"requantize": "by_range", "multiplier": "product_f32", "accumulator": "int32_wrap"}
ONE = np.array(1, np.float32)


@pytest.mark.parametrize("dtype", RANGES)
@pytest.mark.parametrize("rule", [(0.1, 0), (1.0, 0), (1 / 3, 1), (0.003, 100)])
def test_the_codes_are_those_of_the_oracle(dtype: str, rule: tuple[float, int]) -> None:
    scale, z = np.array(rule[0], np.float32), rule[1]
    steps = np.arange(-140, 140) + 0.5
    x = np.concatenate([steps * scale, [0.0, -0.0, 1e30, np.inf, -np.inf, np.nan, 3e9]])
    x = np.concatenate([x.astype(np.float32), np.nextafter(x.astype(np.float32), np.float32(9))])
    codes = by_range(x, scale, np.array(z), dtype)
    known = float(scale), z
    counted = [range_exact(float(v), known, RANGES[dtype], rules=[known]) for v in x]
    assert codes.tolist() == counted, f"{dtype} {rule}: another code than counted"


def test_the_zero_point_joins_before_rounding_but_not_where_every_code_is_centred() -> None:
    x = np.array([0.5, 1.5, 2.5], np.float32)
    alone = by_range(x, ONE, np.array(0), "int8")
    assert alone.tolist() == [0, 2, 2], "a shift of 128 was not left out"
    moved = by_range(x, ONE, np.array(1), "int8")
    # 129.5, 130.5 and 131.5 are rounded, and 128 is taken off
    assert moved.tolist() == [2, 2, 4], "129 was not added before rounding"
    near = np.array(0.5 + 2.0**-20, np.float32)
    assert by_range(near, ONE, np.array(0), "int8") == 1, "half and a bit rounds up"
    both = by_range(np.stack([near, near]), np.array([1, 1], np.float32), np.array([0, 7]), "int8")
    assert both.tolist() == [0, 8], "one channel with a zero point costs all their low bits"


def test_sixteen_bits_of_scale_one_are_cut_not_rounded() -> None:
    x = np.array([-39.5, 2.5, 2.0**31, np.nan, 65537.0], np.float32)
    assert by_range(x, ONE, np.array(0), "uint16").tolist() == [65497, 2, 0, 0, 1], (
        "a quantizer of scale 1 is dropped"
    )
    assert by_range(x, ONE, np.array(1), "uint16").tolist()[:2] == [0, 4], "not dropped"


def test_the_quantizer_of_the_family_is_this_one() -> None:
    x = np.array([[0.3, 0.7], [0.3, 0.7]], np.float32)
    case = case_of("f32_i8_channel", x, np.array([0.1, 0.2], np.float32), np.array([0, 5]), axis=0)
    made = QUANTIZE.compute(case, BY_RANGE)
    assert made is not None, "it refuses nothing"
    counted = [QUANTIZE.exact(case, BY_RANGE, "y", k) for k in range(4)]
    assert made["y"].reshape(-1).tolist() == counted, "not what is counted"


@pytest.mark.parametrize("scheme", ["u8_i8", "i8_i8_channel", "u8_u8", "i8_u8"])
def test_products_are_those_of_the_oracle(scheme: str) -> None:
    for number, case in enumerate(QLINEAR_MATMUL.probes(scheme)):
        if case.inputs["b"].size > 10_000:
            continue  # counting takes long
        made = QLINEAR_MATMUL.compute(case, SUMS)
        assert made is not None, "it refuses nothing"
        flat = made["y"].reshape(-1)
        for k in range(0, flat.size, max(1, flat.size // 8)):
            counted = QLINEAR_MATMUL.exact(case, SUMS, "y", k)
            assert int(flat[k]) == counted, f"{scheme} probe {number}, element {k}"


def test_one_shift_for_all_columns_is_a_fused_sum_and_many_are_not() -> None:
    a, b = np.array(0.1, np.float32), np.array(0.0375, np.float32)
    scales = a, b, a
    sums = np.arange(-4000, 4000)[:, None] + np.zeros(2, np.int64)
    kept: dict[str, Any] = {"zero_point": 3, "codes": "int8", "limits": (-128, 127)}
    one = sums_by_range(sums, np.zeros(2), scales, **kept)
    two = sums_by_range(sums, np.array([0, 127]), scales, **kept)
    assert (one[:, 0] == one[:, 1]).all(), "one shift, two codes"
    columns = [(0, float(scales[1])), (127, float(scales[1]))]
    known: dict[str, Any] = {"scales": (float(scales[0]), float(scales[2])), "zero_point": 3}
    for k in (0, 1):
        counted = [
            sum_by_range_exact(int(s), k, columns, codes=(-128, 127), limits=(-128, 127), **known)
            for s in sums[::40, k]
        ]
        assert two[::40, k].tolist() == counted, f"column {k} with two shifts"


def test_a_sum_beyond_int32_is_the_largest_float_below() -> None:
    a, b = np.full((1, 70_000), 255), np.full((70_000, 1), 127)
    case = product_case("u8_i8", a, b, op="matmul_integer")
    axes = {"accumulator": "float32_saturate"}
    made = MATMUL_INTEGER.compute(case, axes)
    assert made is not None, "it refuses nothing"
    assert made["y"].tolist() == [[2**31 - 128]], "the largest float32 below 2^31"
    assert MATMUL_INTEGER.exact(case, axes, "y", 0) == 2**31 - 128, "the oracle counts another"


def test_real_sums_have_a_range_in_units() -> None:
    v = np.array([-3.0, 0.5, 1.5, 1000.0], np.float32)
    half = np.array(0.5, np.float32)
    whole = reals_by_range(v, (half, 2), "uint8")
    assert whole.tolist() == [0, 3, 5, 255], "codes of reals"
    units = reals_by_range(v, (half, 2), "uint8", unit=half)
    assert units.tolist() == [0, 2, 4, 255], "codes of halves"
