"""Codes of casts by the reference: integers, and the attribute of the operator."""

from dataclasses import replace

import numpy as np

from refquant_conformance.arithmetic.cast_codes import asked, computed, whole
from refquant_conformance.arithmetic.cast_probes import cast_case

AXES = {"rounding": "half_even", "via": "direct", "nan_sign": "kept", "fp_overflow": "nan"}


def test_the_attribute_counts_more_than_the_axis() -> None:
    case = cast_case("f32_e5m2", np.array([1e6, -1e6], np.float32))
    for wanted, codes in ((None, [126, 254]), (1, [123, 251]), (0, [124, 252])):
        one = replace(case, params={"saturate": wanted})
        made = computed(one, {**AXES, "infinity": "nan"})
        assert made is not None, "refused"
        assert made["y"].tolist() == codes, f"saturate = {wanted}: {made['y'].tolist()}"
    assert asked(case, AXES) == AXES, "without the attribute nothing changes"


def test_long_integers_lie_on_no_tie_that_they_are_not() -> None:
    for value in (2**62 + 2**54, 2**62 + 2**54 + 1, 2**62 + 2**54 - 1, -(2**63), 2**53 + 1):
        got = int(whole(np.array([value]))[0])
        assert abs(got - value) < 2**11, f"{value}: {got}"
        assert (got > 2**62 + 2**54) == (value > 2**62 + 2**54), f"{value}: {got}"
