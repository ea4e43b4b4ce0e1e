"""The oracle of sums, multipliers and clamps: by hand."""

import pytest

from refquant_conformance.oracle_products import accumulate_exact, multiplier_exact, rescale_exact


def test_pairs_saturate_one_by_one() -> None:
    """255 * 127 * 2 = 64770 becomes 32767; the odd one out is alone, and -255 * 128 * 2 -32768."""
    for k, wanted in ((1, 32385), (2, 32767), (3, 65152), (4, 65534)):
        got = accumulate_exact([255] * k, [127] * k, zero_points=(0, 0), signed=(False, True),
                               accumulator="i16_pair_saturate")  # fmt: skip
        assert got == wanted, f"{k} products sum to {got}"
    low = accumulate_exact([255, 255], [-128, -128], zero_points=(0, 0), signed=(False, True),
                           accumulator="i16_pair_saturate")  # fmt: skip
    assert low == -32768, f"{low}"


@pytest.mark.parametrize("signed", [(False, True), (True, True), (False, False), (True, False)])
def test_small_codes_do_not_saturate_whatever_their_signs(signed: tuple[bool, bool]) -> None:
    """Codes near what counts as zero: exact, with any zero points."""
    a = [3 if signed[0] else 131, -7 if signed[0] else 121]
    b = [5 if signed[1] else 133, -2 if signed[1] else 126]
    points = (a[0] - 1, b[1] + 3)
    exact = accumulate_exact(a, b, zero_points=points, bias=9)
    pairs = accumulate_exact(
        a, b, zero_points=points, bias=9, signed=signed, accumulator="i16_pair_saturate"
    )
    assert pairs == exact, f"{pairs} instead of {exact}"


def test_beyond_int32_sums_are_refused_or_wrap() -> None:
    with pytest.raises(OverflowError, match="2147483648 leaves int32"):
        accumulate_exact([1], [1], zero_points=(0, 0), bias=2**31 - 1)
    wrapped = accumulate_exact(
        [1], [1], zero_points=(0, 0), bias=2**31 - 1, accumulator="int32_wrap"
    )
    assert wrapped == -(2**31), f"{wrapped}"
    with pytest.raises(ValueError, match="'guess'"):
        accumulate_exact([1], [1], zero_points=(0, 0), accumulator="guess")


def test_a_multiplier_is_formed_in_the_order_that_is_named() -> None:
    """Three scales of which the four ways give neighbours of 1/64."""
    scales = tuple(map(float.fromhex, ("0x1.46e37ap-4", "0x1.f44342p-7", "0x1.3f6516p-4")))
    sx, sw, sy = scales
    got = {how: multiplier_exact((sx, sw, sy), how) * 64 for how in
           ("product_f32", "product_f64", "input_ratio_f32", "weight_ratio_f32")}  # fmt: skip
    assert got["product_f32"] == 1, f"{got}"
    assert 1 < got["product_f64"] < 1 + 2.0**-23, f"{got}"
    assert got["input_ratio_f32"] == got["weight_ratio_f32"] == 1 - 2.0**-24, f"{got}"
    with pytest.raises(ValueError, match="'guess'"):
        multiplier_exact((1.0, 1.0, 1.0), "guess")


def test_the_clamp_is_of_output_codes() -> None:
    got = [rescale_exact(acc, multiplier=0.25, zero_point=10, limits=(10, 20), mode="float_rne")
           for acc in (-8, 6, 400)]  # fmt: skip
    assert got == [10, 12, 20], f"{got}"
