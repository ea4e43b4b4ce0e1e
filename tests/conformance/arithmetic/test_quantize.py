"""Cases of quantizers: where the parameters of an element are, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from refquant_conformance import strategies
from refquant_conformance.arithmetic import quantize
from refquant_conformance.arithmetic.base import candidates
from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.arithmetic.quantize_parameters import parameters_of_each

PLAIN = {"rounding": "half_even", "scale_op": "divide_f32", "zero_point_at": "after_rounding",
         "clamp": "after_rounding", "overflow": "saturate", "nan": "qmin"}  # fmt: skip
CHOICES = list(candidates(QUANTIZE))


@given(data=st.data())
def test_reference_and_oracle_agree_near_ties_for_any_choice(data: st.DataObject) -> None:
    scale = data.draw(strategies.scales(), label="scale")
    z = data.draw(st.integers(-128, 127), label="zero point")
    x = data.draw(strategies.quantizer_inputs(scale=scale, zero_point=z, longest=9), label="x")
    axes = data.draw(st.sampled_from(CHOICES), label="axes")
    case = case_of("f32_i8", x, scale, z)
    made = QUANTIZE.compute(case, axes)
    for index in range(x.size):
        counted = QUANTIZE.exact(case, axes, "y", index)
        if made is not None:
            assert made["y"][index] == counted, f"{x[index]!r} with {dict(axes)}"
        else:
            assert axes["nan"] == "error", "only NaN is refused"


@pytest.mark.parametrize("axis", [0, 1, 2, -1, -2, -3])
@pytest.mark.parametrize("block", [0, 2])
def test_parameters_lie_along_any_axis(axis: int, block: int) -> None:
    shape = (2, 4, 6)
    of = [n // (block or n) if i == axis % 3 else n for i, n in enumerate(shape)]
    of = of if block else [shape[axis]]
    scale = np.arange(1, 1 + np.prod(of), dtype=np.float32).reshape(of)
    scheme = "f32_u8_block" if block else "f32_u8_channel"
    case = case_of(
        scheme, np.ones(shape, np.float32), scale, np.zeros(of), axis=axis, block_size=block
    )
    for index in range(48):
        place = list(np.unravel_index(index, shape))
        if block:
            place[axis] //= block
        wanted = scale[tuple(place)] if block else scale[place[axis]]
        got, _ = parameters_of_each(case, index)
        assert got == wanted, f"element {index} has the scale {got}, not {wanted}"
        alone = quantize.element(case, index)
        assert float(alone.inputs["scale"]) == wanted, "the case of the element has another"


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf, 1e-40])
def test_what_is_no_scale_is_refused_by_both(scale: float) -> None:
    case = case_of("f32_u8", np.ones(2, np.float32), scale, 0)
    assert QUANTIZE.compute(case, PLAIN) is None, f"{scale}"


def test_a_missing_zero_point_is_zero() -> None:
    case = case_of("f32_u8", np.array([3.0], np.float32), 1.0, 9)
    del case.inputs["zero_point"]  # type: ignore[attr-defined]  # a dict here
    made = QUANTIZE.compute(case, PLAIN)
    assert made is not None, "refused"
    assert made["y"].tolist() == [3], "no zero point is 0"
    assert quantize.element(case, 0).inputs.keys() == {"x", "scale"}, "nor has the element one"


def test_every_granularity_asks_nan() -> None:
    for scheme in ("f32_u8", "f32_u8_channel", "f32_u8_block"):
        cases = [c for c in QUANTIZE.probes(scheme) if np.isnan(c.inputs["x"]).any()]
        assert cases, f"{scheme} is not asked what NaN becomes"
        assert all(np.isnan(c.inputs["x"]).all() for c in cases), "NaN is asked alone"
