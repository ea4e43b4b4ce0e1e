"""Quantizers in vectors of four: by hand, against the oracle, and the codes that are left out."""

from typing import Any

import numpy as np
import pytest

from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.arithmetic.quantize_by_four import BY_FOUR, CODES, out_of_place

NCNN = {"rounding": BY_FOUR, "scale_op": "reciprocal_f32", "zero_point_at": "after_rounding",
        "clamp": "after_rounding", "overflow": "int32_cast", "nan": "int32_min",
        CODES: "narrow"}  # fmt: skip
BELOW_HALF = np.nextafter(np.float32(0.5), np.float32(0))


def codes(scheme: str, x: Any, scale: Any = 1.0, zero: Any = 0, **params: Any) -> Any:
    case = case_of(scheme, np.asarray(x, np.float32), scale, zero, **params)
    made = QUANTIZE.compute(case, NCNN)
    assert made is not None, "refused"
    flat = made["y"].reshape(-1)
    counted = [QUANTIZE.exact(case, NCNN, "y", k) for k in range(flat.size)]
    assert flat.tolist() == counted, "reference and oracle"
    return made["y"].tolist()


@pytest.mark.parametrize("n", [1, 3, 4, 5, 7, 8, 9])
def test_what_is_left_over_of_four_rounds_as_c_does(n: int) -> None:
    whole = n // 4 * 4
    assert codes("f32_i8", np.full(n, BELOW_HALF)) == [1] * whole + [0] * (n - whole), "a tensor"
    assert codes("f32_i8", np.full(n, -BELOW_HALF)) == [-1] * whole + [0] * (n - whole), "negative"


def test_every_row_and_every_block_has_its_own_rest() -> None:
    x = np.full((2, 5), BELOW_HALF)
    rows = codes("f32_i8_channel", x, np.ones(2), np.zeros(2), axis=0)
    assert rows == [[1, 1, 1, 1, 0]] * 2, f"{rows}"
    x = np.full((1, 6), BELOW_HALF)
    blocks = codes("f32_i8_block", x, np.ones((1, 2)), np.zeros((1, 2)), axis=1, block_size=3)
    assert blocks == [[0] * 6], f"{blocks}"


def test_ends_and_what_is_no_int32() -> None:
    x = [127.5, -127.5, -300, 300, 3e9, -3e9, np.inf, -np.inf, np.nan, -0.0, 2.5, -2.5]
    expected = [127, -127, -127, 127, -127, -127, -127, -127, -127, 0, 3, -3]
    assert codes("f32_i8", x) == expected, "written down from ncnn"
    assert codes("f32_i8", [3e9, 1.0], zero=5) == [-127, 6], "a zero point is added last"


def test_narrow_codes_are_signed() -> None:
    case = case_of("f32_u8", np.ones(1, np.float32), 1.0, 0)
    plain = {**NCNN, "rounding": "half_even", "overflow": "saturate", "nan": "qmin"}
    made = QUANTIZE.compute(case_of("f32_u8", np.full(1, -200, np.float32), 1.0, 0), plain)
    assert made is not None, "refused"
    assert made["y"].tolist() == [0], "unsigned codes keep their lowest"
    assert QUANTIZE.exact(case, plain, "y", 0) == 1, "by the oracle"
    made = QUANTIZE.compute(case_of("f32_i8", np.full(1, -200, np.float32), 1.0, 0), plain)
    assert made is not None, "refused"
    assert made["y"].tolist() == [-127], "with any rounding"


def test_it_stands_beside_its_own_values_only() -> None:
    assert not out_of_place(NCNN), "ncnn"
    for axis, value in (("scale_op", "divide_f32"), ("clamp", "before_rounding"), ("nan", "qmin")):
        assert out_of_place({**NCNN, axis: value}), f"{axis}"


@pytest.mark.parametrize("scale_op", ["reciprocal_f32", "divide_f32", "divide_f64"])
def test_what_is_no_int64_is_the_lowest_code(scale_op: str) -> None:
    """As fake_quantize of PyTorch with channels: 3e38 and infinity become 0 of uint8."""
    fake = {**NCNN, "rounding": "half_even", "scale_op": scale_op, "overflow": "int64_cast"}
    fake |= {"nan": "qmin", CODES: "full"}
    x = np.array([300.0, 2.0**62, 2.0**63, 3e38, np.inf, -np.inf, np.nan], np.float32)
    case = case_of("f32_u8", x, 1.0, 7)
    made = QUANTIZE.compute(case, fake)
    assert made is not None, "refused"
    assert made["y"].tolist() == [255, 255, 0, 0, 0, 0, 0], f"{made}"
    counted = [QUANTIZE.exact(case, fake, "y", k) for k in range(x.size)]
    assert counted == made["y"].tolist(), f"by the oracle: {counted}"
    assert out_of_place({**fake, "zero_point_at": "before_rounding"}), "the zero point comes last"
