"""Sums and products of codes by hand."""

import pytest

from refquant_conformance.oracle_elementwise import ADDS, add_exact, mul_of_reals_exact


@pytest.mark.parametrize("how", ADDS)
def test_what_is_exact_is_the_same_everywhere(how: str) -> None:
    a, b = (10, 0.5, 2), (20, 0.5, 4)
    assert add_exact(a, b, (0.5, 1), how=how, limits=(0, 255)) == 25, "8 + 16 + 1"
    assert add_exact((255, 1.0, 0), (255, 1.0, 0), (1.0, 0), how=how, limits=(0, 255)) == 255, how


def test_ties_tell_them() -> None:
    one, zero = (-5, 1.0, 0), (0, 1.0, 0)
    found = [add_exact(one, zero, (2.0, 0), how=how, limits=(-128, 127)) for how in ADDS]
    assert found == [-2, -2, -3, -2, -3, -3, -2], f"-2.5 becomes {found}"


def test_what_has_no_shift_is_refused() -> None:
    with pytest.raises(ValueError, match="shift"):
        add_exact((1, 1.0, 0), (1, 1.0, 0), (2.0**20, 0), how="xnnpack_shift20", limits=(0, 255))
    with pytest.raises(ValueError, match="add must be"):
        add_exact((1, 1.0, 0), (1, 1.0, 0), (1.0, 0), how="unknown", limits=(0, 255))


def test_a_product_of_reals_rounds_half_to_even() -> None:
    assert mul_of_reals_exact((1, 0.5, 0), (5, 1.0, 0), (1.0, 0), (-128, 127)) == 2, "2.5"
