"""The staircase oracle, against ml_dtypes, which shares no code with it either."""

import math
from fractions import Fraction

import ml_dtypes
import numpy as np
import pytest

from refquant_conformance.float_oracle import SMALL_FLOATS, code_of, first_patterns, values

TWINS = {
    "e4m3fn": ml_dtypes.float8_e4m3fn,
    "e4m3fnuz": ml_dtypes.float8_e4m3fnuz,
    "e5m2": ml_dtypes.float8_e5m2,
    "e5m2fnuz": ml_dtypes.float8_e5m2fnuz,
    "e4m3": ml_dtypes.float8_e4m3,
    "e3m4": ml_dtypes.float8_e3m4,
    "e4m3b11fnuz": ml_dtypes.float8_e4m3b11fnuz,
    "e8m0": ml_dtypes.float8_e8m0fnu,
}


@pytest.mark.parametrize("name", TWINS)
def test_values_are_those_of_ml_dtypes(name: str) -> None:
    ours = values(SMALL_FLOATS[name])
    codes = np.arange(len(ours), dtype=np.uint8)
    theirs = codes.view(TWINS[name]).astype(np.float64)
    assert [Fraction(float(v)) for v in theirs] == ours, f"{name}: values differ from ml_dtypes"


@pytest.mark.parametrize("name", [name for name in TWINS if name != "e8m0"])
def test_every_step_of_the_staircase_is_where_ml_dtypes_has_it(name: str) -> None:
    patterns = first_patterns(SMALL_FLOATS[name], "half_even")
    steps = np.array(patterns, np.uint32)
    before, at = (steps - 1).view(np.float32), steps.view(np.float32)
    codes = np.arange(1, len(steps) + 1)
    assert at.astype(TWINS[name]).view(np.uint8).tolist() == codes.tolist(), f"{name}: at a step"
    below = before.astype(TWINS[name]).view(np.uint8)
    assert below.tolist() == (codes - 1).tolist(), f"{name}: just below a step"


def test_ties_go_where_the_rule_says() -> None:
    form = SMALL_FLOATS["e4m3fn"]  # between 1 (code 56) and 1.125 (57), and 57 and 58
    for rule, expected in {
        "half_even": [56, 58],
        "half_away": [57, 58],
        "half_down": [56, 57],
        "toward_zero": [56, 57],
        "away_from_zero": [57, 58],
    }.items():
        patterns = first_patterns(form, rule)
        ties = np.array([1.0625, 1.1875], np.float32).view(np.uint32)
        codes = [code_of(int(bits), form, patterns) for bits in ties]
        assert codes == expected, f"{rule}: {codes}, expected {expected}"


@pytest.mark.parametrize("name", SMALL_FLOATS)
def test_signs_infinities_and_nan(name: str) -> None:
    form = SMALL_FLOATS[name]
    patterns = first_patterns(form, "half_even")
    top = len(values(form)) - 1
    x = np.array([math.inf, -math.inf, math.nan, -0.0], np.float32).view(np.uint32)
    codes = [code_of(int(bits), form, patterns) for bits in x]
    low = (0x80 | top) if form.signed else 0
    zero = 0x80 if form.minus_zero else 0
    assert codes == [top, low, form.nan, zero], f"{name}: {codes}"
