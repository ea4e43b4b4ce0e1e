"""The oracle of parameters: by hand, and judging the reference with every preset's axes."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant.contracts import PRESETS
from refquant.formats.parameters import choose_qparams
from refquant_conformance.oracle_parameters import choose_exact, dynamic_exact

PLAIN: dict[str, str | bool | float] = {
    **{"parameter_dtype": "float32", "small_range": "replace", "zero_range_scale": 1.0},
    **{"inverse": "of_scale", "scale_dtype": "float32", "range_includes_zero": True},
    **{"zero_point_from": "qmin", "zero_point_rounding": "half_even"},
    **{"zero_point_dtype": "parameter_dtype", "symmetric_scale": "amax_over_qmax"},
}
DYNAMIC: dict[str, str | bool | float] = {
    **{"range_scale": "divide_f32", "zero_range": "one", "nan_in_range": "ignored"},
    "range_zero_point": "half_even",
}
RANGES = {"int8": (-128, 127), "uint8": (0, 255), "int4": (-8, 7)}
INTEGER = [n for n, c in PRESETS.items() if c.zero_point == "integer"]
SYMMETRIC = [n for n in INTEGER if PRESETS[n].symmetric_scale != "none"]

sizes = st.floats(2.0**-149, 2.0**100, width=32) | st.sampled_from(
    [0.0, 1.0, 2.0**-126, 2.0**-30, 1e-4, 6e-5 * 255]
).map(lambda v: float(np.float32(v)))


@given(lo=sizes, hi=sizes, name=st.sampled_from(INTEGER), dtype=st.sampled_from(sorted(RANGES)))
def test_the_reference_chooses_what_is_counted(lo: float, hi: float, name: str, dtype: str) -> None:
    contract, (qmin, qmax) = PRESETS[name], RANGES[dtype]
    for symmetric in (False, True):
        if symmetric and name not in SYMMETRIC:
            continue
        chosen = choose_qparams(
            np.float32(-lo), np.float32(hi), dtype=dtype, symmetric=symmetric, contract=contract
        )
        counted = choose_exact(
            -lo, hi, qmin=qmin, qmax=qmax, symmetric=symmetric, axes=contract.to_json()
        )
        got = float(chosen.scale), int(chosen.zero_point)
        assert got == counted, f"{name} {dtype} [{-lo!r}, {hi!r}] symmetric={symmetric}"


def test_each_rule_of_small_ranges_by_hand() -> None:
    """A range of zeros, and one of 2^-100: what the scale becomes."""
    rules = {
        "replace": (0.5, 2.0**-100 / 255),
        "floor_scale": (0.5, 0.5),
        "floor_width": (0.5 / 255, 0.5 / 255),
        "unit_range": (2 / 255, 2.0**-100 / 255),
        "below_sqrt_tiny": (0.5, 0.5),
        "amax_to_2_24": (0.5, 0.5),
        "fbgemm_limits": (0.5, 6.1e-5),
        "hqq_limits": (0.5, 0.5),
    }
    for rule, wanted in rules.items():
        axes = PLAIN | {"small_range": rule, "zero_range_scale": 0.5}
        got = [choose_exact(0.0, hi, qmin=0, qmax=255, symmetric=False, axes=axes)[0]
               for hi in (0.0, 2.0**-100)]  # fmt: skip
        assert got == [float(np.float32(v)) for v in wanted], f"{rule}: {got}"


def test_dynamic_parameters_by_hand() -> None:
    def chosen(lo: float, hi: float, *, nan: bool = False, **axes: str) -> tuple[float, int]:
        return dynamic_exact(lo, hi, qmin=0, qmax=255, nan=nan, axes=DYNAMIC | axes)

    assert chosen(0.0, 0.0) == (1.0, 0), "the scale of zeros is 1"
    assert chosen(0.0, 0.0, zero_range="zero") == (0.0, 0), "or 0"
    assert chosen(0.0, 0.0, zero_range="one_step") == (float(np.float32(1 / 255)), 0), "or 1/255"
    assert chosen(-2.5, 252.5) == (1.0, 2), "a tie, to even"
    assert chosen(-2.5, 252.5, range_zero_point="half_away") == (1.0, 3), "or away"
    assert math.isnan(chosen(-1.0, 1.0, nan=True, nan_in_range="propagates")[0]), "NaN"
    assert chosen(-math.inf, 1.0) == (math.inf, 0), "infinity over infinity is no number"


def test_a_range_without_a_scale_is_refused() -> None:
    with pytest.raises(ArithmeticError, match="float32"):
        choose_exact(-3e38, 3e38, qmin=0, qmax=255, symmetric=False, axes=PLAIN)
    with pytest.raises(ArithmeticError, match="float16"):
        choose_exact(
            0.0, 1e9, qmin=0, qmax=255, symmetric=False, axes=PLAIN | {"scale_dtype": "float16"}
        )
