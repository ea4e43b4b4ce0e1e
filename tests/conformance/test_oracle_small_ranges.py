"""The oracle of small ranges, by hand."""

from refquant_conformance.oracle_small_ranges import small_exact

AXES: dict[str, str | bool | float] = {
    **{"small_range": "replace_zero", "range_includes_zero": True, "zero_point_from": "qmin"},
    **{"zero_point_rounding": "half_even", "symmetric_scale": "amax_over_half_range"},
    **{"zero_point": "integer", "zero_range_scale": 0.5},
}


def test_a_scale_that_is_normal_is_somebody_elses() -> None:
    assert small_exact(-1.0, 1.0, codes=(-128, 127), symmetric=True, axes=AXES) is None, "normal"
    found = small_exact(0.0, 0.0, codes=(-128, 127), symmetric=True, axes=AXES)
    assert found == (0.5, 0), "a scale of 0 is replaced"
    found = small_exact(-(2.0**-149), 0.0, codes=(-128, 127), symmetric=False, axes=AXES)
    assert found == (0.5, 127), "after the zero point is found, beyond every code"


def test_half_a_range_of_subnormals() -> None:
    """255 of the smallest float over 127.5 are two of them."""
    tiny = 2.0**-149
    found = small_exact(-255 * tiny, 0.0, codes=(0, 255), symmetric=True, axes=AXES)
    assert found == (2 * tiny, 128), f"{found}"
    below = {**AXES, "zero_point": "integer_below"}
    found = small_exact(-255 * tiny, 0.0, codes=(0, 255), symmetric=True, axes=below)
    assert found == (2 * tiny, 127), f"{found}"


def test_where_the_zero_point_rounds() -> None:
    """lo is -2.5 steps: -128 + 2.5 is a tie."""
    tiny = 2.0**-149
    ends = (-5 * 2 * tiny, 505 * 2 * tiny)
    seen = {
        start: small_exact(
            *ends, codes=(-128, 127), symmetric=False, axes={**AXES, "zero_point_from": start}
        )
        for start in ("qmin", "qmin_after_rounding")
    }
    assert seen == {"qmin": (4 * tiny, -126), "qmin_after_rounding": (4 * tiny, -126)}, f"{seen}"
