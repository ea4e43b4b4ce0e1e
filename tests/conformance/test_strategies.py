"""The strategies find the classic bugs: each is planted, and must be found."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, find, given, settings
from hypothesis import strategies as st
from hypothesis.errors import NoSuchExample

from refquant_conformance import oracle, strategies
from refquant_conformance.rational import add_f32, divide

AXES = {
    "rounding": "half_even",
    "scale_op": "divide_f32",
    "zero_point_at": "after_rounding",
    "clamp": "after_rounding",
    "overflow": "saturate",
    "nan": "qmin",
}
ZERO_POINT = 3


def right(x: float, scale: float, **changed: str) -> int:
    return oracle.quantize_exact(
        x, scale=scale, zero_point=ZERO_POINT, qmin=-128, qmax=127, axes=AXES | changed
    )


def add_one_half(x: float, scale: float) -> int:
    """Rounding by trunc(|v| + 0.5) in float32: 0.49999997 becomes 1."""
    v = divide(x, scale)
    if not math.isfinite(v):
        return right(x, scale, rounding="half_away")
    rounded = math.trunc(add_f32(abs(v), 0.5))
    return min(max(int(math.copysign(rounded, v)) + ZERO_POINT, -128), 127)


MUTANTS: dict[str, Callable[[float, float], int]] = {
    "ties away from zero": lambda x, s: right(x, s, rounding="half_away"),
    "ties up": lambda x, s: right(x, s, rounding="half_up"),
    "add one half": add_one_half,
    "truncation": lambda x, s: right(x, s, rounding="toward_zero"),
    "reciprocal": lambda x, s: right(x, s, scale_op="reciprocal_f32"),
    "float64 division": lambda x, s: right(x, s, scale_op="divide_f64"),
    "zero point before rounding": lambda x, s: right(x, s, zero_point_at="before_rounding"),
    "cast before clamp": lambda x, s: right(x, s, overflow="int32_cast"),
    "wrap": lambda x, s: right(x, s, overflow="wrap"),
    "NaN becomes the zero point": lambda x, s: right(x, s, nan="zero_point"),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_the_mixture_finds(name: str) -> None:
    """A bug is found in 2,000 examples, with seeds of Hypothesis' own choice made repeatable."""
    wrong = MUTANTS[name]
    cases = st.sampled_from([0.1, 1 / 3, 0.0375, 2.0**-4]).flatmap(
        lambda s: st.tuples(
            strategies.floats_near_ties(scale=float(np.float32(s)), zero_point=ZERO_POINT),
            st.just(float(np.float32(s))),
        )
    )
    try:
        find(
            cases,
            lambda case: wrong(*case) != right(*case),
            settings=settings(
                max_examples=2000,
                derandomize=True,
                database=None,
                deadline=None,
                phases=[Phase.generate],
                suppress_health_check=list(HealthCheck),
            ),
        )
    except NoSuchExample:
        pytest.fail(f"the mixture does not find: {name}")


@given(data=st.data(), scale=strategies.scales())
def test_inputs_are_float32(data: st.DataObject, scale: float) -> None:
    assert float(np.float32(scale)) == scale, f"the scale {scale!r} is no float32"
    assert 2.0**-126 <= scale < math.inf, f"the scale {scale!r} is not normal"
    x = data.draw(strategies.floats_near_ties(scale=scale))
    assert math.isnan(x) or float(np.float32(x)) == x, f"{x!r} is no float32"


@given(data=st.data())
def test_vectors_have_the_lengths_and_codes_the_range(data: st.DataObject) -> None:
    x = data.draw(strategies.quantizer_inputs(scale=0.5))
    assert x.dtype == np.float32, f"{x.dtype}"
    assert len(x) in strategies.LENGTHS, f"length {len(x)}"
    q = data.draw(strategies.codes((2, 3), qmin=-8, qmax=7, dtype="int8"))
    assert q.shape == (2, 3), f"{q.shape}"
    assert all(-8 <= code <= 7 for code in q.ravel().tolist()), f"codes {q.tolist()} leave [-8, 7]"


@given(data=st.data(), multiplier=strategies.multipliers())
def test_accumulators_are_int32(data: st.DataObject, multiplier: float) -> None:
    assert 2.0**-31 <= multiplier <= 1, f"{multiplier}"
    acc = data.draw(strategies.accumulators(multiplier=multiplier))
    assert -(2**31) <= acc < 2**31, f"{acc}"


def test_scales_refuse_bounds_that_are_not_normal() -> None:
    with pytest.raises(ValueError, match="scales need"):
        strategies.scales(low=2.0**-149)
