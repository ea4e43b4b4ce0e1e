"""Chosen parameters: what is refused, and what an element's case keeps."""

import numpy as np
import pytest

from refquant.contracts import preset
from refquant_conformance.arithmetic.base import axes_of
from refquant_conformance.arithmetic.parameters import (
    ASYMMETRIC,
    SYMMETRIC,
    choose_case,
    code_of,
    ranges,
)


@pytest.mark.parametrize("values", [[], [np.nan, 1.0], [np.inf], [-3e38, 3e38]])
def test_what_is_no_range_is_refused_by_both(values: list[float]) -> None:
    case = choose_case("asymmetric_u8", np.array(values, np.float32))
    axes = axes_of(preset("onnx"), ASYMMETRIC)
    assert ASYMMETRIC.compute(case, axes) is None, f"{values}"
    assert ASYMMETRIC.exact(case, axes, "scale", 0) is None, f"{values}"


def test_negative_scales_have_the_contract_that_they_need() -> None:
    case = choose_case("symmetric_i4", np.array([-1.0, 4.0], np.float32))
    axes = {**axes_of(preset("onnx"), SYMMETRIC), "symmetric_scale": "signed_amax_over_qmin"}
    made = SYMMETRIC.compute(case, axes)
    assert made is not None, "refused"
    assert float(made["scale"]) == -0.5, "4 over -8"


def test_unsigned_codes_without_zero_point_have_no_lower_side() -> None:
    case = choose_case("symmetric_u8", np.array([-1.0, 4.0], np.float32))
    axes = {**axes_of(preset("onnx"), SYMMETRIC), "zero_point": "none"}
    sided = {**axes, "symmetric_scale": "signed_amax_over_qmin"}
    assert SYMMETRIC.compute(case, axes) is not None, "amax / 255 is a scale"
    assert SYMMETRIC.compute(case, sided) is None, "edge / 0 is none"


def test_the_case_of_an_element_is_the_range() -> None:
    case = choose_case("asymmetric_i8", np.array([3.0, -1.0, 7.0, 2.0], np.float32))
    assert ASYMMETRIC.element(case, 0).inputs["x"].tolist() == [-1.0, 7.0], "the two ends"


def test_schemes_name_their_codes_and_probes_are_ranges() -> None:
    for family in (SYMMETRIC, ASYMMETRIC):
        for scheme in family.schemes:
            assert code_of(scheme).endswith(scheme[-1]), scheme
            assert all(lo <= hi for lo, hi in ranges(scheme)), f"{scheme}: a range is upside down"
