"""The oracle of sums of reals, by hand."""

import pytest

from refquant_conformance.oracle_real_sums import real_sum_exact

BIG = 2.0**24


def summed(a: list[float], shape: tuple[int, int], at: tuple[int, int], **more: bool) -> float:
    ones = [1.0] * len(a)
    return real_sum_exact(a, ones, order="reals_mlas", shape=shape, at=at, **more)


def test_four_products_are_added_before_they_meet_the_rest() -> None:
    assert summed([BIG, 0.0, 0.0, 0.0, 1.0, 1.0, 1.0, 1.0], (1, 9), (0, 0)) == BIG + 4, "1 + 1 + .."
    assert summed([BIG, 0.0, 0.0, 0.0, 1.0, 1.0], (1, 9), (0, 0)) == BIG + 2, "the rest by two"
    assert summed([BIG, 0.0, 0.0, 0.0, 1.0], (1, 9), (0, 0)) == BIG, "the last alone"


def test_lanes_are_added_by_the_place_of_the_row() -> None:
    lanes = [BIG, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0, 0.0]
    assert summed(lanes, (7, 1), (0, 0)) == BIG, "four rows: one lane after the other"
    assert summed(lanes, (7, 1), (4, 0)) == BIG, "two rows: 0 + 2, then 1"
    assert summed(lanes, (7, 1), (6, 0)) == BIG, "one row: 0 + 1, then 2 + 3"
    split = [BIG, 0.0, 1.0, 1.0, 0.0, 0.0, 0.0, 0.0]
    found = [summed(split, (7, 1), (row, 0)) for row in (0, 4, 6)]
    assert found == [BIG, BIG, BIG + 2], "only pairs of neighbours keep 1 + 1"


def test_a_block_starts_from_zero() -> None:
    a = [BIG] + [0.0] * 127 + [1.0, 1.0]
    assert summed(a, (2, 200), (0, 0)) == BIG + 2, "two blocks of 128"
    assert summed(a, (2, 20), (0, 0)) == BIG, "one block of 512"


def test_one_rounding_for_a_product_and_a_sum() -> None:
    x = 1 + 2.0**-12
    fused = real_sum_exact([x, -1.0], [x, 1.0], order="reals_fused", shape=(1, 1), at=(0, 0))
    assert fused == 2.0**-11, "x * x is rounded where nothing is added yet"
    turned = real_sum_exact([-1.0, x], [1.0, x], order="reals_fused", shape=(1, 1), at=(0, 0))
    assert turned == 2.0**-11 + 2.0**-24, "exact before it is rounded"


def test_another_order_is_refused() -> None:
    with pytest.raises(ValueError, match="order must be"):
        real_sum_exact([1.0], [1.0], order="any", shape=(1, 1), at=(0, 0))
