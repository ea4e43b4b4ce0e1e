"""The scale rules of MX: witnesses, exact fractions, and what a float32 logarithm does."""

from decimal import Decimal, localcontext
from fractions import Fraction
from typing import Any

import numpy as np
import pytest

from refquant.formats.mx_formats import MX_FORMATS
from refquant.formats.mx_scales import SCALE_RULES, exponents, scale_codes
from tests.refquant.formats.block_oracles import (
    ELEMENTS,
    ceil_log2,
    e8m0,
    exponent,
    floor_log2,
    interesting,
)

Array = np.ndarray[Any, Any]
every_rule = pytest.mark.parametrize("rule", SCALE_RULES)
every_rule_of_every_format = pytest.mark.parametrize(
    ("rule", "name"),
    [(r, n) for r in SCALE_RULES for n in MX_FORMATS if r != "rceil_v2" or n == "mxfp4"],
)


def of_element(name: str) -> dict[str, Any]:
    form = MX_FORMATS[name]
    return {"max_value": form.max_value, "mantissa_bits": form.mantissa_bits}


# Where the rules part, for MXFP4. Each column is a block whose largest magnitude it is.
WITNESSES = np.array([4.9, 6.1, 7.0, 7.5, 8.0, 8.5, 9.0], np.float32)
SAYS = {
    "floor": [0, 0, 0, 0, 1, 1, 1],
    "ceil": [1, 1, 1, 1, 1, 2, 2],
    "even": [0, 0, 1, 1, 1, 1, 1],
    "rceil": [0, 1, 1, 1, 1, 1, 1],
    "rceil_v2": [0, 0, 0, 1, 1, 1, 1],
    "round": [0, 0, 0, 0, 0, 1, 1],
    "oas": [0, 0, 1, 1, 1, 1, 1],
    "onnx_up": [0, 1, 1, 1, 1, 1, 1],
    "onnx_down": [-1, 0, 0, 0, 0, 0, 0],
    "onnx_nearest": [0, 0, 0, 0, 0, 0, 1],
}


@every_rule
def test_the_rules_part_at_the_witnesses(rule: str) -> None:
    got = exponents(WITNESSES, rule=rule, max_value=6.0, mantissa_bits=1).tolist()
    assert got == SAYS[rule], f"{rule}: {got} at {WITNESSES.tolist()}"


def test_every_rule_has_witnesses_and_no_two_are_the_same_but_rceil_in_onnx() -> None:
    assert set(SAYS) == set(SCALE_RULES), "a rule without witnesses"
    rows = {rule: tuple(row) for rule, row in SAYS.items()}
    same = {(a, b) for a in rows for b in rows if a < b and rows[a] == rows[b]}
    # oas is even in MXFP4 (12/7 was chosen so), up to its rounding to bfloat16
    assert same == {("onnx_up", "rceil"), ("even", "oas")}, f"not told apart: {same}"


def test_oas_is_even_but_for_its_rounding_to_bfloat16() -> None:
    a = np.array([6.99, 6.98], np.float32)  # times 2/7: 1.997 is 2 in bfloat16, 1.994 is not
    got = exponents(a, rule="oas", max_value=6.0, mantissa_bits=1).tolist()
    assert got == [1, 0], "bfloat16 rounds up to the next power of two"
    even = exponents(a, rule="even", max_value=6.0, mantissa_bits=1).tolist()
    assert even == [0, 0], "even does not"


def test_the_bar_of_round_lies_between_two_float32() -> None:
    below = np.float32(1.4142135)  # the float32 nearest to sqrt(2), and below it
    a = np.array([below, np.nextafter(below, np.float32(2))])
    got = exponents(a, rule="round", max_value=1.0, mantissa_bits=1).tolist()
    assert got == [0, 1], f"no float32 is sqrt(2): {got}"


def test_oas_makes_a_scale_of_one_below_its_smallest_and_not_at_it() -> None:
    at = np.float32(6 * 2.0**-63)
    a = np.array([at, np.nextafter(at, np.float32(0))])
    got = exponents(a, rule="oas", max_value=6.0, mantissa_bits=1).tolist()
    assert got == [-63, 0], f"sqrt of the smallest normal float32: {got}"


def test_even_with_the_bits_of_fp4_is_another_rule_for_fp8() -> None:
    a = np.array([448.0, 447.0, 480.0, 496.0], np.float32)  # compressed-tensors has 1 bit for FP8
    own = exponents(a, rule="even", max_value=448.0, mantissa_bits=3).tolist()
    fp4 = exponents(a, rule="even", max_value=448.0, mantissa_bits=1).tolist()
    assert (own, fp4) == ([0, 0, 0, 1], [1, 0, 1, 1]), f"{own} and {fp4}"


@every_rule_of_every_format
def test_exponents_are_those_of_exact_fractions(rule: str, name: str) -> None:
    a = interesting()[list(ELEMENTS).index(name) % 4 :: 4]
    got = exponents(a, rule=rule, **of_element(name))
    want = [exponent(Fraction(float(v)), rule, ELEMENTS[name]) for v in a]
    wrong = [(float(v).hex(), int(g), w) for v, g, w in zip(a, got, want, strict=True) if g != w]
    assert not wrong, f"{rule}, {name}: (amax, got, exact) {wrong[:5]}"
    codes = scale_codes(a, rule=rule, **of_element(name))
    assert codes.tolist() == [e8m0(e) for e in want], f"{rule}, {name}: eq. (2)"


@pytest.mark.parametrize(
    "name",
    [n if n == "mxfp8_e4m3" else pytest.param(n, marks=pytest.mark.slow) for n in MX_FORMATS],
)
def test_rceil_never_clips_and_is_the_smallest_scale_that_does_not(name: str) -> None:
    """The claim of the module: float32 division does not lose the step up, for any significand."""
    mantissas = np.arange(1 << 23, dtype=np.uint32) | np.uint32(130 << 23)
    a = mantissas.view(np.float32)
    top = MX_FORMATS[name].max_value
    e = exponents(a, rule="rceil", **of_element(name))
    scaled = np.ldexp(a.astype(np.float64), -e)
    assert (scaled <= top).all(), f"{name}: clips {a[scaled > top][:3]}"
    assert (2 * scaled > top).all(), f"{name}: too large for {a[2 * scaled <= top][:3]}"


# -- the float32 logarithm --------------------------------------------------------------------


def logarithm_rounds_to(value: Fraction, integer: int) -> bool:
    """Whether the float32 nearest to log2(value) is ``integer``; 60 digits decide."""
    with localcontext() as context:
        context.prec = 60
        real = (Decimal(value.numerator) / Decimal(value.denominator)).ln() / Decimal(2).ln()
        distance = abs(real - integer)
        # the float32 before or after the integer, on the side of the logarithm
        towards = np.float32(np.inf if real > integer else -np.inf)
        step = abs(Fraction(float(np.nextafter(np.float32(integer), towards))) - integer)
        half = Decimal(step.numerator) / Decimal(step.denominator) / 2
        assert abs(distance - half) > Decimal("1e-30"), "too near to call"
        return distance < half


SLOW = [
    pytest.param(e, marks=pytest.mark.slow) for e in (-126, -100, -3, -2, -1, 1, 2, 4, 100, 127)
]


@pytest.mark.parametrize("e", [0, 16, *SLOW])
def test_the_float32_logarithm_moves_the_bar_by_that_many_significands(e: int) -> None:
    """All 2^23 significands of a binade: the ones that differ are the last before 2^(e+1) (floor)
    and the first after 2^e (ceil), and 60 digits agree where they start."""
    bits = np.arange(1 << 23, dtype=np.uint32) | np.uint32((e + 127) << 23)
    a = bits.view(np.float32)
    options: dict[str, Any] = {"max_value": 1.0, "mantissa_bits": 1}
    for rule in ("floor", "ceil"):
        exact = exponents(a, rule=rule, **options)
        by_log = exponents(a, rule=rule, log2="float32", **options)
        differ = np.flatnonzero(exact != by_log)
        count = differ.size
        if rule == "floor":
            assert differ.tolist() == list(range((1 << 23) - count, 1 << 23)), "not the last ones"
            first, before = a[(1 << 23) - count :][:1], a[(1 << 23) - count - 1]
            assert not logarithm_rounds_to(Fraction(float(before)), e + 1), f"too few at 2^{e}"
            for v in first:
                assert logarithm_rounds_to(Fraction(float(v)), e + 1), f"too many at 2^{e}"
        else:
            assert differ.tolist() == list(range(1, count + 1)), "not the first ones"
            assert not logarithm_rounds_to(Fraction(float(a[count + 1])), e), f"too few at 2^{e}"
            if count:
                assert logarithm_rounds_to(Fraction(float(a[count])), e), f"too many at 2^{e}"
        assert count == MOVED[rule][e], f"{rule} at 2^{e}: {count} significands"


MOVED = {  # significands of a binade that a float32 logarithm decides otherwise
    "floor": {-126: 44, -100: 44, -3: 1, -2: 0, -1: 0, 0: 0, 1: 0, 2: 1, 4: 2, 16: 11, 100: 44,
              127: 44},
    "ceil": {-126: 22, -100: 22, -3: 0, -2: 0, -1: 0, 0: 0, 1: 0, 2: 0, 4: 1, 16: 5, 100: 22,
             127: 22},
}  # fmt: skip


def test_one_step_below_eight_is_eight_for_a_float32_logarithm() -> None:
    a = np.array([np.nextafter(np.float32(8), np.float32(0))])
    got = [
        int(exponents(a, rule="floor", max_value=6.0, mantissa_bits=1, log2=how)[0])
        for how in ("exact", "float32")
    ]
    assert got == [0, 1], f"the smallest witness: {got}"


@every_rule
def test_a_logarithm_is_refused_for_rules_that_have_none(rule: str) -> None:
    a = np.ones(1, np.float32)
    if SCALE_RULES[rule].uses_logarithm:
        assert exponents(a, rule=rule, max_value=6.0, mantissa_bits=1, log2="float32").size == 1
        return
    with pytest.raises(ValueError, match="log2 must be exact"):
        exponents(a, rule=rule, max_value=6.0, mantissa_bits=1, log2="float32")


# -- zeros, denormals, infinity, NaN, the clamp -----------------------------------------------


@every_rule_of_every_format
def test_special_blocks(rule: str, name: str) -> None:
    special = np.array([np.nan, np.inf, 0.0, -0.0, 2.0**-149, 3.4028235e38], np.float32)
    kw = of_element(name)
    codes = scale_codes(special, rule=rule, **kw)
    assert codes[:2].tolist() == [255, 255], f"{rule}: NaN and infinity are NaN"
    of_zero = 127 if rule == "oas" else 0  # qwix puts a scale of 1 there
    assert codes[2:4].tolist() == [of_zero, of_zero], f"{rule}: a block of zeros"
    assert codes[4] == of_zero, f"{rule}: a denormal is a number, far below 2^-127"
    assert codes[5] <= 254, f"{rule}: the largest number is not NaN"
    finite = scale_codes(special[1:2], rule=rule, infinity="saturate", **kw)
    assert finite[0] <= 254, f"{rule}: infinity saturates"
    if rule in ("rceil", "floor"):
        by_log = scale_codes(special[1:2], rule=rule, infinity="saturate", log2="float32", **kw)
        assert by_log.tolist() == [254], "log2 of infinity is infinite, and clamped"


def test_a_block_of_zeros_is_what_the_producer_puts_there() -> None:
    zero = np.zeros(1, np.float32)
    kw: dict[str, Any] = {"max_value": 6.0, "mantissa_bits": 1, "zero_v": 2.0}
    assert scale_codes(zero, rule="floor", **kw).tolist() == [126], "AutoRound: 1 - 2"
    assert scale_codes(zero, rule="rceil", **kw).tolist() == [128], "AutoRound, rceil: 1"


def test_the_clamp_is_reached_at_both_ends() -> None:
    a = np.array([3e38, 1e-40], np.float32)
    assert scale_codes(a, rule="ceil", max_value=1.0, mantissa_bits=0).tolist() == [254, 0], "ends"
    assert exponents(a, rule="ceil", max_value=1.0, mantissa_bits=0).tolist() == [128, -132], "raw"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rule": "FLOOR"}, "scale_rule must be one of"),
        ({"rule": "rceil_v2", "max_value": 448.0}, "rceil_v2 is for elements up to 6"),
        ({"log2": "libm"}, "log2 must be exact or float32"),
        ({"amax": np.array([-1.0], np.float32)}, "amax must be float32 and not negative"),
        ({"amax": np.array([1.0])}, "amax must be float32 and not negative"),
        ({"infinity": "ignore"}, "infinity must be nan or saturate"),
    ],
)
def test_what_is_refused(change: dict[str, Any], message: str) -> None:
    kw: dict[str, Any] = {"amax": np.ones(1, np.float32), "rule": "floor", "max_value": 6.0,
                          "mantissa_bits": 1, **change}  # fmt: skip
    with pytest.raises(ValueError, match=message):
        scale_codes(kw.pop("amax"), **kw)


def test_the_oracle_knows_its_powers_of_two() -> None:
    assert [floor_log2(Fraction(v)) for v in (1, 2, 3, 0.75)] == [0, 1, 1, -1], "floor"
    assert [ceil_log2(Fraction(v)) for v in (1, 2, 3, 0.75)] == [0, 1, 2, 0], "ceil"
