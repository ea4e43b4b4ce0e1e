"""Sums of reals and codes by hand, one rounding at a time."""

import pytest

from refquant_conformance.oracle_weights import weighted_sum_exact

TINY = 2.0**-24


@pytest.mark.parametrize(
    ("sums", "wanted"),
    [("ordered", 1.0), ("fused", 1.0), ("lanes", 1 + 2.0**-23), ("halves", 1 + 2.0**-23)],
)
def test_what_is_added_first_matters(sums: str, wanted: float) -> None:
    """1, then two terms of half a unit each: one by one they are lost, together they count."""
    a = [1.0, *[0.0] * 15, 0.0, TINY, *[0.0] * 14, 0.0, TINY]
    seen = weighted_sum_exact(a, [1] * 34, [1.0] * 34, sums=sums, scale="of_weights")
    assert seen == wanted, f"{sums}: {seen.hex()}"


def test_a_fused_product_is_not_rounded() -> None:
    a, wide = [1.0, 1 + 2.0**-12], [-1.0, 1 + 2.0**-12]
    for sums, wanted in (("ordered", 2.0**-11), ("fused", 2.0**-11 + 2.0**-24)):
        seen = weighted_sum_exact(a, [1, 1], wide, sums=sums, scale="of_weights")
        assert seen == wanted, f"{sums}: {seen.hex()}"


def test_quarters_and_halves_add_the_same_lanes_in_another_order() -> None:
    """Lane 1 is lost in the sum of lane 0, unless lane 9 is added to it before."""
    a = [1.0, TINY, *[0.0] * 7, TINY, *[0.0] * 6]
    found = {
        sums: weighted_sum_exact(a, [1] * 16, [1.0] * 16, sums=sums, scale="of_weights")
        for sums in ("lanes", "halves")
    }
    assert found == {"lanes": 1.0, "halves": 1 + 2.0**-23}, f"{found}"


def test_a_scale_multiplies_weights_or_sums_of_its_block() -> None:
    third = float.fromhex("0x1.555556p-2")
    by_weight = weighted_sum_exact([1.0] * 3, [3, 3, 1], [third] * 3, sums="ordered",
                                   scale="of_weights")  # fmt: skip
    by_sum = weighted_sum_exact([1.0] * 3, [3, 3, 1], [third] * 3, sums="ordered", scale="of_sums")
    assert by_weight == float.fromhex("0x1.2aaaaap+1"), f"2 and a third: {by_weight.hex()}"
    assert by_sum == float.fromhex("0x1.2aaaacp+1"), f"7 thirds, rounded once: {by_sum.hex()}"
