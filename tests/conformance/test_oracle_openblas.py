"""The oracle of a row times a matrix in OpenBLAS's order, by hand."""

from refquant_conformance.oracle_openblas import openblas_sum_exact

BIG = 2.0**24


def summed(terms: dict[int, float], k: int, columns: int, at: int = 0) -> float:
    row = [terms.get(place, 0.0) for place in range(k)]
    return openblas_sum_exact(row, [1.0] * k, columns=columns, at=at)


def test_one_column_is_a_dot_product() -> None:
    assert summed({0: BIG, 1: 1.0, 2: 1.0}, 5, 1) == BIG + 2, "a short one, in float64"
    assert summed({0: BIG, 1: 1.0, 2: 1.0}, 33, 1) == BIG, "lanes 0, 1, 2 of one register"
    assert summed({0: BIG, 8: 1.0, 16: 1.0}, 64, 1) == BIG, "8 is folded on 0, then 16"
    assert summed({0: BIG, 32: 1.0, 33: 1.0}, 34, 1) == BIG + 2, "what is left, in float64"
    assert summed({0: BIG, 4: 1.0, 2: 1.0, 6: 1.0}, 32, 1) == BIG + 2, "halves: 2 + 6 met first"


def test_short_rows_are_one_operation_after_the_other() -> None:
    assert summed({0: BIG, 1: 1.0, 2: 1.0}, 48, 20, 3) == BIG, "1 and 1 do not meet"


def test_two_columns_go_by_pairs() -> None:
    assert summed({0: BIG, 2: 1.0, 3: 1.0}, 4, 2) == BIG + 2, "places 2 and 3 meet"
    assert summed({0: BIG, 1: 1.0, 2: 1.0}, 4, 2) == BIG, "places 1 and 2 do not"
    assert summed({0: BIG, 4: 1.0, 5: 1.0}, 50, 3) == BIG + 2, "of the next four"
    assert summed({0: BIG, 48: 1.0, 49: 1.0}, 50, 3) == BIG, "the rest one by one"


def test_even_and_odd_places_are_apart_in_the_first_columns() -> None:
    terms = {0: BIG, 1: 1.0, 3: 1.0}
    found = [summed(terms, 56, 20, at) for at in (0, 3, 4, 19)]
    assert found == [BIG + 2, BIG + 2, BIG, BIG], "20 columns have the bit of 4"
    found = [summed(terms, 56, 24, at) for at in (0, 7, 8)]
    assert found == [BIG + 2, BIG + 2, BIG], "24 columns have the bit of 8"
    found = [summed(terms, 56, 28, at) for at in (11, 12)]
    assert found == [BIG + 2, BIG], "28 columns have both"


def test_pieces_start_from_zero() -> None:
    terms = {0: BIG, 8: 1.0, 9: 1.0}
    assert summed(terms, 56, 16) == BIG + 2, "the second eight have met"
    assert summed(terms, 56, 17, 16) == BIG, "the last column has no pieces"
    assert summed({0: BIG, 49: 1.0, 50: 1.0}, 51, 16) == BIG, "two, then one"
