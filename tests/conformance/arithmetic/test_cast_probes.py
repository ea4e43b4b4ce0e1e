"""Probes of casts: the numbers that are meant, and no others."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.cast_probes import (
    FORMAT_OF,
    magnitudes,
    midpoints,
    near,
    probes,
)


def test_midpoints_of_fp4_by_hand() -> None:
    assert magnitudes("float4_e2m1fn").tolist() == [0, 0.5, 1, 1.5, 2, 3, 4, 6], "FP4"
    assert midpoints("float4_e2m1fn").tolist() == [0.25, 0.75, 1.25, 1.75, 2.5, 3.5, 5, 7], "FP4"
    assert midpoints("float8_e8m0fnu")[-1] == 1.5 * 2.0**127, "the last scale and twice of it"


def test_neighbours_are_neighbours() -> None:
    x = near(np.array([1], np.float32), 1)
    assert sorted(x.tolist()) == [1 - 2.0**-24, 1.0, 1 + 2.0**-23], "one ulp on either side"


@pytest.mark.parametrize("name", FORMAT_OF)
def test_probes_hold_zero_and_specials(name: str) -> None:
    scheme = f"f32_{ {'bfloat16': 'bf16', 'float16': 'f16'}.get(name) or name.split('_')[1] }"
    finite, endless, nan = (case.inputs["x"] for case in probes(scheme))
    assert 0.0 in finite, "no zero"
    assert np.isfinite(finite).all(), "infinities have a case of their own"
    assert np.isinf(endless).all(), "infinities"
    assert np.isnan(nan).sum() == 2, "two NaN"
