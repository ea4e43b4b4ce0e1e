"""Places and interpolation by hand."""

import pytest

from refquant_conformance.oracle_resize import between_exact, nearest_exact

SOURCES = ("exact", "divided", "divided_but_corners", "multiplied", "fixed_16")
WAYS = ("of_reals", "of_reals_f64", "truncated", "half_up", "rounded_f64", "fixed_10", "fixed_11")


@pytest.mark.parametrize("source", SOURCES)
def test_twice_and_half_the_size(source: str) -> None:
    for coordinates, wanted in (("asymmetric", [0, 0, 1, 1]), ("half_pixel", [0, 0, 1, 1]),
                                ("align_corners", [0, 0, 1, 1])):  # fmt: skip
        seen = [nearest_exact((i, 2, 4), coordinates=coordinates, source=source) for i in range(4)]
        assert seen == wanted, f"{coordinates}, {source}: {seen}"
    for coordinates, wanted in (("asymmetric", [0, 2]), ("half_pixel", [1, 3]),
                                ("align_corners", [0, 3])):  # fmt: skip
        seen = [nearest_exact((i, 4, 2), coordinates=coordinates, source=source) for i in range(2)]
        assert seen == wanted, f"{coordinates}, {source}: {seen}"


def test_a_place_that_is_whole_may_not_be_when_it_is_rounded() -> None:
    """Place 7 of 10 among 36 half pixels looks at 7.5 * 3.6 = 27, which float32 has as 26.99."""
    found = {
        source: [nearest_exact((i, 36, 10), coordinates="half_pixel", source=source)
                 for i in range(10)]
        for source in ("exact", "divided")
    }  # fmt: skip
    assert found["exact"] != found["divided"], f"{found}"


@pytest.mark.parametrize("how", WAYS)
@pytest.mark.parametrize("coordinates", ["asymmetric", "half_pixel", "align_corners"])
def test_equal_codes_have_their_code_between_them(how: str, coordinates: str) -> None:
    plane = [[40, 40], [40, 40]]
    for i in range(3):
        seen = between_exact(plane, (i, 2, 3), (2 - i, 2, 3), coordinates=coordinates, how=how,
                             rule=(0.25, 3))  # fmt: skip
        assert seen == 40 or (how == "truncated" and seen == 39), f"{seen}"


def test_a_middle_is_rounded_by_each_in_its_way() -> None:
    seen = {
        how: between_exact([[2, 3]], (0, 1, 1), (1, 2, 3), coordinates="align_corners", how=how,
                           rule=(1.0, 0))
        for how in WAYS
    }  # fmt: skip
    up = {"half_up", "fixed_10", "fixed_11"}
    assert seen == {how: 3 if how in up else 2 for how in WAYS}, f"{seen}"
