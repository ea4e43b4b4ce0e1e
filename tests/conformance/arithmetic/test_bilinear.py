"""Between four codes by hand, for every way."""

import numpy as np
import pytest

from refquant_conformance.arithmetic.bilinear import divided, interpolated, ratio

RULE = np.float32(0.25), 3
WAYS = {
    "of_reals": 2, "of_reals_f64": 2, "truncated": 2, "half_up": 3, "rounded_f64": 2,
    "fixed_10": 3, "fixed_11": 3,
}  # fmt: skip


@pytest.mark.parametrize("how", WAYS)
def test_a_half_between_two_codes(how: str) -> None:
    """Between 2 and 3 in the middle: ties go to even, up, or are cut off."""
    codes = np.array([2, 3]).reshape(1, 1, 1, 2)
    seen = interpolated(codes, (1, 3), "align_corners", how, (np.float32(1), 0))
    assert seen is not None, f"{how} refuses"
    assert seen.reshape(-1).tolist() == [2, WAYS[how], 3], f"{how}: {seen}"


def test_a_zero_point_moves_ties_of_reals() -> None:
    codes = np.array([2, 3]).reshape(1, 1, 1, 2)
    seen = interpolated(codes, (1, 3), "align_corners", "of_reals", RULE)
    assert seen is not None, "refused"
    assert seen.reshape(-1).tolist() == [2, 3, 3], f"-1/2 becomes 0, which is code 3: {seen}"


def test_a_step_of_1024ths_that_leads_out_of_the_image_is_refused() -> None:
    codes = np.array([2, 3]).reshape(1, 1, 1, 2)
    assert interpolated(codes, (1, 83), "asymmetric", "fixed_10", RULE) is None, "25 * 82 > 2047"
    assert interpolated(codes, (1, 82), "asymmetric", "fixed_10", RULE) is not None, "25 * 81"


def test_places() -> None:
    assert float(ratio(3, 5, "align_corners")) == 0.5, "2 / 4"
    assert divided(2, 4, "half_pixel").tolist() == [-0.25, 0.25, 0.75, 1.25], "half pixels"
    assert divided(3, 1, "align_corners").tolist() == [0.0], "one place is the first"
