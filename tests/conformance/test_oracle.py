"""The oracle against values worked out by hand, and against laws that no implementation enters."""

import math
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant_conformance import oracle, strategies

PLAIN: dict[str, str | bool | float] = {
    "rounding": "half_even",
    "scale_op": "divide_f32",
    "zero_point_at": "after_rounding",
    "clamp": "after_rounding",
    "overflow": "saturate",
    "nan": "qmin",
    "add": "dequantize",
}


def code(x: float, *, scale: float = 1.0, zero_point: int = 0, **axes: str) -> int:
    return oracle.quantize_exact(
        x, scale=scale, zero_point=zero_point, qmin=-128, qmax=127, axes=PLAIN | axes
    )


def test_each_axis_changes_the_code_that_it_should() -> None:
    before = "before_rounding"
    cases = [
        # (the default, with the axis, the axis)
        (code(2.5), code(2.5, rounding="half_away"), 2, 3, "rounding"),
        # round(0.5) + 1, and round(0.5 + 1)
        (code(0.5, zero_point=1), code(0.5, zero_point=1, zero_point_at=before), 1, 2, "zp"),
        (code(3e9), code(3e9, overflow="int32_cast"), 127, -128, "overflow"),
        (code(300.0), code(300.0, overflow="wrap"), 127, 44, "wrap"),
        (code(math.nan), code(math.nan, nan="qmax"), -128, 127, "nan"),
        (code(math.nan), code(math.nan, nan="zero_point", zero_point=5), -128, 5, "nan"),
    ]  # fmt: skip
    for plain, other, expected_plain, expected_other, axis in cases:
        assert (plain, other) == (expected_plain, expected_other), f"axis {axis}: {plain}, {other}"


def test_a_reciprocal_moves_a_tie() -> None:
    """For s = 0.0375 and x = 0.46875003, x / s is 12.5, and x * (1 / s) the next float above."""
    scale, x = oracle.float32(Fraction(375, 10000)), 0.4687500298023224
    assert code(x, scale=scale) == 12, "dividing: a tie, to even"
    assert code(x, scale=scale, scale_op="reciprocal_f32") == 13, "the reciprocal: above the tie"


def test_int32_cast_adds_the_zero_point_in_wrapping_int32() -> None:
    assert code(math.inf, zero_point=-1, overflow="int32_cast") == 127, (
        "-2^31 - 1 wraps to 2^31 - 1"
    )
    assert code(math.inf, zero_point=1, overflow="int32_cast") == -128, "-2^31 + 1 is below qmin"
    nan = code(math.nan, zero_point=-1, overflow="int32_cast", nan="int32_min")
    assert nan == 127, "NaN is cast as infinity is"


def test_nan_may_be_an_error() -> None:
    with pytest.raises(ArithmeticError, match="NaN has no code"):
        code(math.nan, nan="error")


def test_unknown_values_are_refused() -> None:
    with pytest.raises(ValueError, match=r"scale_op.*'guess'"):
        code(1.0, scale_op="guess")
    with pytest.raises(ValueError, match=r"mode must be one of.*'guess'"):
        oracle.requantize_exact(1, 0.5, mode="guess")
    with pytest.raises(ValueError, match=r"add must be.*'guess'"):
        oracle.add_exact(
            1,
            1,
            scales=(1.0, 1.0, 1.0),
            zero_points=(0, 0, 0),
            qmin=0,
            qmax=1,
            axes={"add": "guess"},
        )


@given(multiplier=strategies.multipliers())
def test_the_fixed_point_multiplier_is_the_nearest(multiplier: float) -> None:
    m, shift = oracle.quantize_multiplier_exact(multiplier)
    if m == 0:
        assert multiplier < 2.0**-31, f"{multiplier} became 0"
        return
    assert 2**30 <= m < 2**31, f"{multiplier} gave M = {m}"
    error = abs(m * Fraction(2) ** (shift - 31) - Fraction(multiplier))
    assert error <= Fraction(2) ** (shift - 32), f"{multiplier} is off by {float(error)}"


@given(data=st.data(), multiplier=strategies.multipliers(low=2.0**-20, high=0.5))
def test_every_mode_is_within_its_roundings_of_the_product(
    data: st.DataObject, multiplier: float
) -> None:
    """One rounding is off by 1/2, two by 1; plus the multiplier's own error, 2^-31 relative."""
    acc = data.draw(strategies.accumulators(multiplier=multiplier))
    exact = Fraction(multiplier) * acc
    for mode, roundings in (("single", Fraction(1, 2)), ("gemmlowp_double", 1), ("neon_double", 1)):
        got = oracle.requantize_exact(acc, multiplier, mode=mode)
        bound = roundings + abs(exact) / 2**31
        assert abs(got - exact) <= bound, f"{mode}({acc}, {multiplier}) = {got}"


def test_the_modes_differ_as_the_table_of_witnesses_says() -> None:
    """numerics: multiplier 1/4, first witness -199998; double -50000, single -49999."""
    got = {
        mode: oracle.requantize_exact(-199998, 0.25, mode=mode)
        for mode in ("gemmlowp_double", "neon_double", "single", "float_rne")
    }
    assert got == {
        "gemmlowp_double": -50000,
        "neon_double": -49999,
        "single": -49999,
        "float_rne": -50000,
    }, f"{got}"


def test_a_product_that_leaves_int32_is_an_error() -> None:
    with pytest.raises(OverflowError, match="leaves int32"):
        oracle.requantize_exact(2**30, 4.0, mode="gemmlowp_double")


@given(qa=st.integers(-128, 127), qb=st.integers(-128, 127), data=st.data())
def test_sums_of_codes_are_within_one_of_the_real_sum(
    qa: int, qb: int, data: st.DataObject
) -> None:
    """For equal scales each way of adding is within one code of (qa + qb) / 2, clamped."""
    z = data.draw(st.integers(-128, 127))
    for add in ("dequantize", "tflite_shift20", "xnnpack_shift20"):
        got = oracle.add_exact(
            qa, qb, scales=(0.5, 0.5, 1.0), zero_points=(z, z, 0), qmin=-128, qmax=127,
            axes=PLAIN | {"add": add},
        )  # fmt: skip
        exact = min(max(Fraction(qa + qb - 2 * z, 2), Fraction(-128)), Fraction(127))
        assert abs(got - exact) <= Fraction(1, 2), f"{add}({qa}, {qb}; z={z}) = {got}, not {exact}"


def test_matmul_subtracts_both_zero_points() -> None:
    got = oracle.matmul_exact([[3, 5]], [[1, 2], [3, 4]], x_zero_point=1, w_zero_points=[1, 2])
    assert got == [[2 * 0 + 4 * 2, 2 * 0 + 4 * 2]], f"{got}"
