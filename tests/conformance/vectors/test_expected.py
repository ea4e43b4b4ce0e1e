"""What is expected of a case: contracts that agree stand together, and flags say what matters."""

import numpy as np

from refquant.contracts import preset
from refquant_conformance.arithmetic import Arithmetic, arithmetic_of
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.arithmetic.quantize import QUANTIZE, case_of
from refquant_conformance.protocol import Case
from refquant_conformance.vectors.expected import (
    answers,
    equal,
    flags,
    named,
    others,
    specified,
    undefined,
)

TIE = case_of("f32_i8", np.array([0.5], np.float32), 1.0, 0)
NAN = case_of("f32_i8", np.array([np.nan], np.float32), 1.0, 0)
PLAIN = case_of("f32_i8", np.array([3.0], np.float32), 1.0, 0)


def _who(name: str, case: Case) -> list[str]:
    found = [names for names, _ in answers(QUANTIZE, case) if name in names]
    return found[0] if found else []


def test_a_tie_parts_those_who_round_otherwise() -> None:
    assert "ort" in _who("spec", TIE), "both round to even"
    assert "tflite_reference" not in _who("spec", TIE), "it rounds away from zero"
    assert len(answers(QUANTIZE, PLAIN)) == 1, "3 is 3 by every contract"


def test_flags_are_the_axes_that_matter() -> None:
    assert "rounding" in flags(QUANTIZE, TIE), f"{flags(QUANTIZE, TIE)}"
    assert flags(QUANTIZE, PLAIN) == [], f"{flags(QUANTIZE, PLAIN)}"


def test_where_the_specification_is_silent_nobody_speaks_for_it() -> None:
    assert (undefined(QUANTIZE, NAN), undefined(QUANTIZE, TIE)) == (True, False), "NaN, a tie"
    assert "nan" in flags(QUANTIZE, NAN), f"{flags(QUANTIZE, NAN)}"
    assert not _who("spec", NAN), "the specification says nothing of NaN"
    assert _who("ort", NAN), "onnxruntime does"


def test_the_choices_are_the_arithmetic_s_own() -> None:
    pool = arithmetic_of("qlinear_average_pool", "u8")
    assert pool is not None, "no arithmetic of pools"
    for one in (QUANTIZE, pool):
        _choices(one)


def _choices(one: Arithmetic) -> None:
    names = dict(named(one))
    assert names["spec"] == specified(one), f"{names['spec']}"
    for name, axes in names.items():
        assert name == "spec" or axes == axes_of(preset(name), one), f"{name}: {axes}"
        assert all(axes[axis] in values for axis, values in one.axes.items()), f"{name}: {axes}"
    for axis in one.axes:
        for other in others(one, axis):
            changed = [a for a in one.axes if other[a] != specified(one)[a]]
            assert changed == [axis], f"{axis}: {changed}"


def test_two_refusals_are_equal_and_minus_zero_is_not_zero() -> None:
    zero, minus = ({"y": np.array([v], np.float32)} for v in (0.0, -0.0))
    assert equal(None, None), "two refusals"
    assert not equal(None, zero), "a refusal and an answer"
    assert not equal(zero, minus), "other bits"
    assert not equal(zero, {"y": np.zeros((), np.float32)}), "another shape"
