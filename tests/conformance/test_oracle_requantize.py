"""The oracle of requantization: by hand, by laws, and judging the reference, mode by mode."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.numerics.requantize import REQUANTIZE_MODES, ZERO_POINT_MODES, requantize
from refquant_conformance import strategies
from refquant_conformance.oracle_requantize import quantize_multiplier_exact, requantize_exact

MODES = pytest.mark.parametrize("mode", REQUANTIZE_MODES)


def counted(acc: int, m: float, mode: str, zero_point: int) -> int | None:
    try:
        return requantize_exact(acc, m, mode=mode, zero_point=zero_point)
    except (OverflowError, ValueError):
        return None


def computed(acc: int, m: float, mode: str, zero_point: int) -> int | None:
    early = zero_point if mode in ZERO_POINT_MODES else None
    try:
        return int(requantize(acc, m, mode=mode, zero_point=early))
    except ValueError:
        return None


@MODES
@given(data=st.data())
def test_the_reference_computes_what_is_counted(mode: str, data: st.DataObject) -> None:
    """Also where it refuses: then the oracle does."""
    m = data.draw(strategies.multipliers(low=2.0**-34, high=2.0**12), label="multiplier")
    if mode == "pow2" and data.draw(st.booleans(), label="a power"):
        m = 2.0 ** round(math.log2(m))
    if mode.startswith("rndnu"):  # of a float32 multiplier, whose limits are of the rounded one
        m = float(np.float32(m))
    acc = data.draw(strategies.accumulators(multiplier=m), label="acc")
    z = data.draw(st.sampled_from([0, 1, 3, -128, 127, 249]), label="zero point")
    assert computed(acc, m, mode, z) == counted(acc, m, mode, z), f"{mode}({acc}, {m!r}, {z})"


def test_each_mode_by_hand() -> None:
    """-7 / 4 = -1.75; the high product is -3.5, up to -3; and -3 / 2 goes two ways."""
    got = {mode: counted(-7, 0.25, mode, 3) for mode in REQUANTIZE_MODES}
    ups = got.pop("neon_double"), got.pop("rndnu16")
    assert ups == (-1, -1), "both roundings have ties up, whichever comes first"
    assert set(got.values()) == {-2}, f"{got}"


def test_only_the_tie_rule_differs_at_a_tie() -> None:
    """-10 / 4 = -2.5: even and up -2, away -3; with 3 added first 0.5, to 0."""
    away = {"gemmlowp_double", "gemmlowp_double_f32", "tosa_double", "emulate_float"}
    for mode in REQUANTIZE_MODES:
        wanted = -3 if mode in {*away, "float64_half_away", *ZERO_POINT_MODES} else -2
        assert counted(-10, 0.25, mode, 3) == wanted, f"{mode}"


def test_multipliers_carry_and_vanish() -> None:
    assert quantize_multiplier_exact(1 - 2.0**-40) == (2**30, 1), "31 bits of it are 2^31"
    assert quantize_multiplier_exact(2.0**-33) == (0, 0), "below 2^-32"
    m, shift = quantize_multiplier_exact(0.1)
    assert abs(m * Fraction(2) ** (shift - 31) - Fraction(0.1)) <= Fraction(2) ** (shift - 32), (
        "near"
    )


@MODES
def test_what_leaves_int32_is_refused_or_saturates(mode: str) -> None:
    floats = {"float_rne", "float64_half_away", "dyadic", *ZERO_POINT_MODES, "rndnu16"}
    assert (counted(2**31 - 1, 64.0, mode, 0) is None) == (mode not in floats), f"{mode}"


@pytest.mark.parametrize(
    ("mode", "m"),
    [("tosa_single", 2.0**29), ("tosa_double", 2.0**29), ("scale16", 2.0**13),
     ("tflite_int64", 2.0**7), ("rndnu", 256.0), ("rndnu16", 2.0**-33), ("pow2", 0.75)],
)  # fmt: skip
def test_multipliers_that_a_mode_does_not_have_are_refused(mode: str, m: float) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        requantize_exact(1, m, mode=mode)


def test_an_unknown_mode_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match=r"mode must be one of.*'guess'"):
        requantize_exact(1, 0.5, mode="guess")
