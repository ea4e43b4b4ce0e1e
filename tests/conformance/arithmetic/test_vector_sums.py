"""Sums by vector code: what is alike and what is not, and reals by one rounding."""

from fractions import Fraction

import numpy as np
import pytest

from refquant_conformance.arithmetic.elementwise import QLINEAR_ADD, all_pairs
from refquant_conformance.arithmetic.elementwise_probes import add_probes
from refquant_conformance.arithmetic.vector_sums import FUSED, LANES, fused_real, operands
from refquant_conformance.rational import float32, multiply

SCALES = ((0.1, 3), (0.07, 100), (0.13, 9))


@pytest.mark.parametrize("how", LANES)
def test_lanes_differ_by_at_most_one_and_the_rest_not_at_all(how: str) -> None:
    parted = 0
    for case in add_probes("u8"):
        made = [QLINEAR_ADD.compute(case, {"add": add}) for add in (how, "tflite_shift20")]
        if made[0] is None or made[1] is None:
            continue
        apart = np.abs(made[0]["y"].astype(int) - made[1]["y"].astype(int))
        assert apart.max() <= 1, "far from it"
        if not apart.any():
            continue
        parted += 1
        short = QLINEAR_ADD.element(case, int(np.argmax(apart.reshape(-1))))
        alone = [QLINEAR_ADD.compute(short, {"add": add}) for add in (how, "tflite_shift20")]
        assert alone[0] == alone[1], "one element is no vector"
    assert parted, "no probe tells vector code from the rest"


def test_a_fused_real_is_rounded_once() -> None:
    for code in (0, 7, 200, 255):
        exact = Fraction(float(np.float32(0.07))) * code
        exact -= Fraction(multiply(float(np.float32(0.07)), 100.0))
        got = float(fused_real(np.array([code]), (float(np.float32(0.07)), 100))[0])
        assert got == float32(exact), f"code {code}"


def test_operands_are_broadcast() -> None:
    case = all_pairs("qlinear_add", "u8", SCALES)
    assert {a.shape for a in operands(case).values()} == {(256, 256)}, "every pair"
    assert FUSED in QLINEAR_ADD.axes["add"], "a value of the axis"
