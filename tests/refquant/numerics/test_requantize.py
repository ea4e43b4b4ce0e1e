"""Requantization: every mode against its definition over the rational numbers."""

import math
import struct
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike, NDArray

from refquant.numerics import REQUANTIZE_MODES, requantize

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1
HALF = Fraction(1, 2)
NEEDS = {"float_zp_before_round": 3, "float_zp_before_round_f32": 3}  # those that take one
ZERO_MODES = [
    m for m in REQUANTIZE_MODES if m not in ("rndnu", "rndnu16", "pow2")
]  # these refuse 0.0
every_mode = pytest.mark.parametrize("mode", REQUANTIZE_MODES)

accumulators = st.integers(-(2**20), 2**20) | st.integers(INT32_MIN, INT32_MAX)
multipliers = st.floats(2.0**-31, 0.75, exclude_min=True) | st.sampled_from(
    [0.25, 0.125, 0.5, 0.0375, 0.003, 2.0**-20, 2.0**-31]
)


def run(acc: ArrayLike, real: ArrayLike, mode: str) -> NDArray[np.int64]:
    return requantize(acc, real, mode=mode, zero_point=NEEDS.get(mode))


def half_up(v: Fraction) -> int:
    return math.floor(v + HALF)


def half_down(v: Fraction) -> int:
    return math.ceil(v - HALF)


def half_away(v: Fraction) -> int:
    return half_up(v) if v >= 0 else half_down(v)


def to_f32(x: float) -> float:
    return float(struct.unpack("<f", struct.pack("<f", x))[0])


def multiplier(real: float, bits: int, rule: Callable[[Fraction], int]) -> tuple[int, int]:
    """Return M and s of real = M * 2**(s - bits)."""
    if real == 0:
        return 0, 0
    s = math.frexp(real)[1]
    m = rule(Fraction(real) * Fraction(2) ** (bits - s))
    return (m // 2, s + 1) if m == 2**bits else (m, s)


def two_roundings(a: int, m: int, s: int, last: Callable[[Fraction], int]) -> int:
    high = half_up(Fraction(a * 2 ** max(s, 0) * m, 2**31))
    return last(Fraction(high, 2 ** max(-s, 0)))


def exact(a: int, real: float, mode: str) -> int:
    """Return what ``mode`` means, in rational arithmetic; |a * real| < 2**31, real > 2**-32."""
    m, s = multiplier(real, 31, half_away)
    product = Fraction(a * m) * Fraction(2) ** (s - 31)
    if mode == "gemmlowp_double":
        return two_roundings(a, m, s, half_away)
    if mode == "gemmlowp_double_f32":
        return two_roundings(a, *multiplier(to_f32(real), 31, half_away), half_away)
    if mode == "neon_double":
        return two_roundings(a, m, s, half_up)
    if mode == "emulate_float":
        return two_roundings(a, *multiplier(real, 31, half_down), half_away)
    if mode in ("single", "tosa_single"):
        return half_up(product)
    if mode == "tosa_double":
        extra = 0 if s >= 0 else (2**30 if a >= 0 else -(2**30))
        return half_up(product + Fraction(extra, 2 ** (31 - s)))
    if mode == "scale16":
        m16, s16 = multiplier(real, 15, half_away)
        return half_up(Fraction(a * m16) * Fraction(2) ** (s16 - 15))
    if mode == "tflite_int64":
        m16 = min((m + 2**15) // 2**16, 0x7FFF)
        return half_up(Fraction(a * m16) * Fraction(2) ** (s - 15))
    if mode == "rndnu":
        return half_up(a * Fraction(to_f32(real)))
    if mode == "rndnu16":
        m15, s15 = multiplier(to_f32(real), 15, half_up)
        x = max(-(2**15), min(2**15 - 1, half_up(a * Fraction(2) ** s15)))
        return half_up(Fraction(x * m15, 2**15))
    if mode == "pow2":
        return half_up(a * Fraction(real))
    if mode == "dyadic":
        return round(float(a * m) * 2.0 ** (s - 31))
    if mode == "float64_half_away":
        return min(half_away(Fraction(float(a) * real)), INT32_MAX)
    if mode == "float_rne":
        return min(round(to_f32(to_f32(a) * to_f32(real))), INT32_MAX)
    if mode == "float_zp_before_round_f32":
        moved = round(to_f32(float(Fraction(to_f32(to_f32(a) * to_f32(real))) + 3)))
        return (moved if -(2**31) <= moved < 2**31 else -(2**31)) - 3
    assert mode == "float_zp_before_round", f"no oracle for {mode}"
    return round(float(a) * to_f32(real) + 3) - 3


@every_mode
@given(a=accumulators, real=multipliers)
def test_each_mode_is_its_definition(mode: str, a: int, real: float) -> None:
    if mode == "pow2":
        real = 2.0 ** math.floor(math.log2(real))
    got = int(run(a, real, mode))
    assert got == exact(a, real, mode), f"{mode}({a}, {real!r})"


@every_mode
def test_each_mode_at_the_edges_of_int32(mode: str) -> None:
    reals = [0.5, 0.25, 2.0**-8, 2.0**-30, 2.0**-31]
    reals += [] if mode == "pow2" else [0.9999, 0.99999, 1 - 2.0**-31, 0.3, 1e-5, 3e-9]
    if mode == "gemmlowp_double_f32":  # in float32 that is 1, and the accumulator is doubled
        reals.remove(1 - 2.0**-31)
    accs = [INT32_MIN, INT32_MIN + 1, -(2**30), -3, -2, -1, 0, 1, 2, 3, 2**30, INT32_MAX]
    for real in reals:
        got = run(np.array(accs), real, mode).tolist()
        assert got == [exact(a, real, mode) for a in accs], f"{mode} by {real!r}"


@every_mode
def test_each_mode_with_multipliers_of_one_and_more(mode: str) -> None:
    """The fixed-point modes shift left; 2**16 is more than some of them take."""
    reals = [1.0, 2.0, 64.0] + ([] if mode == "pow2" else [1.5, 1.0000001, 100.0])
    accs = [-(2**20), -(2**20) + 1, -3, -1, 0, 1, 3, 2**20]
    for real in reals:
        got = run(np.array(accs), real, mode).tolist()
        assert got == [exact(a, real, mode) for a in accs], f"{mode} by {real!r}"


TIES = {  # acc = -10, -6, -2, 2, 6, 10 by 1/4: -2.5, -1.5, -0.5, 0.5, 1.5, 2.5
    "away": [-3, -2, -1, 1, 2, 3],
    "up": [-2, -1, 0, 1, 2, 3],
    "even": [-2, -2, 0, 0, 2, 2],
    "even, shifted by an odd zero point": [-3, -1, -1, 1, 1, 3],
}
TIE_OF_MODE = {
    "float_rne": "even",
    "float64_half_away": "away",
    "gemmlowp_double": "away",
    "gemmlowp_double_f32": "away",
    "neon_double": "up",
    "single": "up",
    "tosa_double": "away",
    "tosa_single": "up",
    "scale16": "up",
    "tflite_int64": "up",
    "rndnu": "up",
    "rndnu16": "up",
    "emulate_float": "away",
    "dyadic": "even",
    "pow2": "up",
    "float_zp_before_round": "even, shifted by an odd zero point",
    "float_zp_before_round_f32": "even, shifted by an odd zero point",
}


@every_mode
def test_rq06_ties_go_where_the_mode_says(mode: str) -> None:
    got = run(np.array([-10, -6, -2, 2, 6, 10]), 0.25, mode).tolist()
    assert got == TIES[TIE_OF_MODE[mode]], f"{mode}: ties go {TIE_OF_MODE[mode]}"


@pytest.mark.parametrize(
    ("real", "mode", "count", "witness"),
    [
        (0.25, "neon_double", 100_000, (-199_999, -50_000, -49_999)),
        (0.25, "single", 100_000, (-199_998, -50_000, -49_999)),
        (0.25, "float_rne", 100_000, (-199_994, -49_999, -49_998)),
        (0.0375, "neon_double", 12_500, (-199_987, -7_500, -7_499)),
        (0.0375, "single", 10_000, (-199_986, -7_500, -7_499)),
        (0.0375, "float_rne", 11_376, (-199_986, -7_500, -7_499)),
        (0.003, "neon_double", 600, (-199_833, -600, -599)),
        (0.003, "single", 400, (-199_833, -600, -599)),
        (0.003, "float_rne", 600, (-199_833, -600, -599)),
    ],
)
def test_how_often_modes_disagree_with_gemmlowp(
    real: float, mode: str, count: int, witness: tuple[int, int, int]
) -> None:
    acc = np.arange(-200_000, 200_001)
    ours, theirs = run(acc, real, "gemmlowp_double"), run(acc, real, mode)
    differ = np.flatnonzero(ours != theirs)
    assert differ.size == count, f"{mode} by {real}: {differ.size} of {acc.size}"
    first = differ[0]
    assert (int(acc[first]), int(ours[first]), int(theirs[first])) == witness, f"{mode} by {real}"


@pytest.mark.parametrize(
    "real", [0.9, 0.5, 0.25, 0.0375, 0.003, 1e-4, 3e-7, 1.0, 1.7, 2.0**-17, 1 - 2.0**-31, 2.0**-31]
)
def test_tosa_double_is_gemmlowp_double(real: float) -> None:
    """Consecutive accumulators about zero and at both ends; the page has the proof."""
    acc = np.arange(-100_000, 100_001)
    if real < 1:
        ends = np.arange(2000)
        acc = np.concatenate([acc, INT32_MIN + ends, INT32_MAX - ends])
    tosa, gemmlowp = run(acc, real, "tosa_double"), run(acc, real, "gemmlowp_double")
    differ = np.flatnonzero(tosa != gemmlowp)
    assert not differ.size, f"by {real}: acc {acc[differ[:5]]}"


@given(a=accumulators, real=multipliers)
def test_relations_between_modes(a: int, real: float) -> None:
    of = {m: int(run(a, real, m)) for m in REQUANTIZE_MODES if m not in ("pow2", "rndnu")}
    assert of["tosa_double"] == of["gemmlowp_double"], "one function, written twice"
    assert of["tosa_single"] == of["single"], "one function, two names"
    assert of["neon_double"] - of["gemmlowp_double"] in (0, 1), "up or away"
    assert abs(of["gemmlowp_double"] - of["single"]) <= 1, "the second rounding moves by one"


@given(a=st.integers(-INT32_MAX, INT32_MAX), real=multipliers)
def test_half_to_even_has_no_side(a: int, real: float) -> None:
    for mode in ("float_rne", "dyadic"):
        assert int(run(-a, real, mode)) == -int(run(a, real, mode)), f"{mode} is odd"
    exact_tie = (Fraction(a) * Fraction(*multiplier_fraction(real)) * 2) % 2 == 1
    both = int(run(a, real, "single")) + int(run(-a, real, "single"))
    assert both == exact_tie, "half up leans by one on ties, and on nothing else"


def multiplier_fraction(real: float) -> tuple[int, int]:
    m, s = multiplier(real, 31, half_away)
    v = Fraction(m) * Fraction(2) ** (s - 31)
    return v.numerator, v.denominator


@given(a=st.integers(-(2**31), 2**31 - 1), real=multipliers)
def test_one_rounding_is_within_half_of_its_multiplier(a: int, real: float) -> None:
    """|single - a m| <= 1/2 + |a| times the error of M; twice rounded, 1/2 + 1/4 more at most."""
    s = multiplier(real, 31, half_away)[1]
    of_multiplier = abs(a) * Fraction(2) ** (s - 32)
    true = a * Fraction(real)
    assert abs(int(run(a, real, "single")) - true) <= HALF + of_multiplier, "one rounding"
    first = Fraction(1, 2 ** (1 - min(s, 0)))  # half a unit of SRDHM's result, 2**s of the last
    twice = abs(int(run(a, real, "gemmlowp_double")) - true)
    assert twice <= HALF + first * (s < 0) + of_multiplier, "two roundings"


def test_the_bits_of_the_multiplier_show() -> None:
    """16 bits lose what 31 keep: 0.0375 has 15 good bits in tflite_int64 and scale16."""
    acc, real = 2**22 + 5, 0.0375
    got = {m: int(run(acc, real, m)) for m in ("single", "rndnu", "scale16", "tflite_int64")}
    assert got == {"single": 157287, "rndnu": 157287, "scale16": 157288, "tflite_int64": 157288}, (
        f"true value {acc * real}, got {got}"
    )


def test_emulate_float_rounds_ties_of_the_multiplier_down() -> None:
    acc = INT32_MAX - 1  # large enough that one unit of M is one unit of the result
    for m in (2**30, 2**30 + 1):  # an even and an odd one
        real = math.ldexp(m + 0.5, -31)
        ours, theirs = (int(run(acc, real, x)) for x in ("emulate_float", "gemmlowp_double"))
        assert (ours, theirs) == (m - 1, m), f"{ours} and {theirs}"


def test_dyadic_rounds_its_product_to_float64_first() -> None:
    """A product of 61 bits, 2**-31 above a tie: in float64 it is the tie, and goes to even."""
    acc, m = 2**31 - 77, 0
    while m < 2**30 or (acc * m >> 31) % 2:  # look for one whose even neighbour is below
        acc -= 2
        m = (2**30 + 1) * pow(acc, -1, 2**31) % 2**31
    assert (acc * m) % 2**31 == 2**30 + 1, "just above a tie"
    got = int(run(acc, math.ldexp(m, -31), "dyadic"))
    assert got == exact(acc, math.ldexp(m, -31), "dyadic"), "the definition"
    assert got == acc * m >> 31, "down to even, although the product is above the tie"


def test_a_multiplier_just_below_one_may_round_to_one_and_shift_left() -> None:
    """1 - 2**-40 becomes M = 2**30, s = 1: the accumulator is doubled first, and must fit."""
    real = 1 - 2.0**-40
    assert int(run(2**30 - 1, real, "gemmlowp_double")) == 2**30 - 1, "fits"
    with pytest.raises(ValueError, match="acc shifted left by a multiplier >= 1 must fit int32"):
        run(2**30, real, "gemmlowp_double")


@pytest.mark.parametrize("mode", ZERO_MODES)
def test_a_multiplier_of_zero_gives_zero(mode: str) -> None:
    got = run(np.array([INT32_MIN, -1, 0, INT32_MAX]), 0.0, mode)
    assert got.tolist() == [0, 0, 0, 0], f"{mode}: {got}"


@pytest.mark.parametrize("mode", ZERO_MODES)
def test_multipliers_too_small_to_matter_give_zero(mode: str) -> None:
    for real in (2.0**-33, 2.0**-70, 1e-300, 5e-324):
        got = run(np.array([INT32_MIN, -1, 0, INT32_MAX]), real, mode)
        assert got.tolist() == [0, 0, 0, 0], f"{mode} by {real}: {got}"


@every_mode
def test_multipliers_broadcast_one_a_channel(mode: str) -> None:
    acc = np.array([[-6, 6, 1000], [5, -5, 7]])
    reals = np.array([[0.25], [0.0625]])
    got = run(acc, reals, mode)
    assert got.dtype == np.int64, f"got {got.dtype}"
    expected = [[int(run(int(a), r, mode)) for a in row] for row, r in zip(acc, [0.25, 0.0625])]  # noqa: B905
    assert got.tolist() == expected, f"{mode}: {got}"
    assert run(np.zeros((0, 3), np.int32), 0.25, mode).shape == (0, 3), "nothing stays nothing"
    assert run(acc.astype(np.int32), reals, mode).tolist() == expected, "the container is free"


def test_int48_accumulators_are_for_the_16_bit_modes() -> None:
    for mode in ("scale16", "tflite_int64"):
        for a in (-(2**47), -(2**47) + 1, 2**47 - 1, 2**40 + 12345):
            for real in (2.0**-20, 1e-6, 2.0**-31):
                assert int(run(a, real, mode)) == exact(a, real, mode), f"{mode}({a}, {real})"
        with pytest.raises(ValueError, match=r"acc must fit int48, got 140737488355328\.\."):
            run(2**47, 2.0**-30, mode)
    with pytest.raises(ValueError, match=r"acc must fit int32, got 2147483648\.\."):
        run(2**31, 2.0**-30, "single")


def test_results_beyond_int32_saturate_in_float_and_are_refused_in_fixed_point() -> None:
    for mode in ("float_rne", "dyadic"):
        got = run(np.array([INT32_MIN, INT32_MAX]), 1e6, mode)
        assert got.tolist() == [INT32_MIN, INT32_MAX], f"{mode}: {got}"
    largest = float(np.finfo(np.float32).max)
    got = run(np.array([-(2**31), 0, 2**31 - 1]), largest, "float_rne")
    assert got.tolist() == [INT32_MIN, 0, INT32_MAX], f"an infinite product saturates, got {got}"
    for mode in ("gemmlowp_double", "neon_double", "emulate_float", "pow2"):
        with pytest.raises(
            ValueError, match="acc shifted left by a multiplier >= 1 must fit int32"
        ):
            run(2**30, 2.0, mode)
        with pytest.raises(ValueError, match="must fit int32"):
            run(-1, 2.0**40, mode)
        assert int(run(0, 2.0**40, mode)) == 0, f"{mode}: zero may be shifted by anything"
    for mode in ("single", "tosa_single", "tosa_double", "rndnu", "scale16", "tflite_int64"):
        with pytest.raises(ValueError, match="the result must fit int32"):
            run(2**30, 4.0, mode)
        assert int(run(2**29 - 1, 4.0, mode)) == 2**31 - 4, f"{mode}: just fits"


def test_single_saturates_its_shift() -> None:
    assert int(run(1, 2.0**30, "single")) == 2**30, "s = 31 becomes 30, M the largest"
    assert int(run(1, 3.0 * 2**29, "single")) == 2**30, "as TFLITE_SINGLE_ROUNDING does"


def test_mistakes_are_refused() -> None:
    with pytest.raises(ValueError, match=r"mode must be one of float_rne, .*; got 'exact'"):
        requantize(1, 0.5, mode="exact")
    with pytest.raises(ValueError, match="acc must hold integers, got float64"):
        requantize(1.0, 0.5, mode="single")
    for real in (-0.5, math.nan, math.inf, 1e39):
        with pytest.raises(ValueError, match="multiplier must be a finite float32"):
            requantize(1, [0.5, real], mode="single")
    with pytest.raises(ValueError, match="zero_point is needed by the mode"):
        requantize(1, 0.5, mode="float_zp_before_round")
    with pytest.raises(ValueError, match="zero_point is for float_zp_before_round and"):
        requantize(1, 0.5, mode="single", zero_point=3)
    for mode, real, rule in (
        ("pow2", 0.3, "must be a power of two"),
        ("pow2", 0.0, "must be a power of two"),
        ("rndnu", 2.0**-33, r"must be in \[2\*\*-32, 256\)"),
        ("rndnu", 256.0, r"must be in \[2\*\*-32, 256\)"),
        ("rndnu16", 0.0, r"must be in \[2\*\*-32, 256\)"),
        ("rndnu16", 2.0**-33, r"must be in \[2\*\*-32, 256\)"),
        ("rndnu16", 256.0 - 2.0**-40, r"must be in \[2\*\*-32, 256\)"),  # 256 as float32
        ("tosa_single", 2.0**29, r"must be below 2\*\*29"),
        ("tosa_double", 2.0**29, r"must be below 2\*\*29"),
        ("scale16", 2.0**13, r"must be below 2\*\*13"),
        ("tflite_int64", 2.0**7, r"must be below 2\*\*7"),
    ):
        with pytest.raises(ValueError, match=rf"multiplier {rule}"):
            requantize(0, real, mode=mode)
