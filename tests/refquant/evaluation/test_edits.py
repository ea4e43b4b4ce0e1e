"""Levenshtein's distance and its kinds against all ways to edit."""

from functools import cache
from itertools import product

import pytest

from refquant.evaluation.edits import Edits, edits


@cache
def fewest(reference: str, hypothesis: str) -> int:
    """The distance by its meaning: the best of all first steps."""
    if not reference or not hypothesis:
        return len(reference) + len(hypothesis)
    return min(
        fewest(reference[1:], hypothesis[1:]) + (reference[0] != hypothesis[0]),
        fewest(reference[1:], hypothesis) + 1,
        fewest(reference, hypothesis[1:]) + 1,
    )


def short_words() -> list[str]:
    return ["".join(letters) for n in range(5) for letters in product("abc", repeat=n)]


def test_the_distance_is_the_least_of_all_ways() -> None:
    words = short_words()
    assert len(words) == 121, "all words of at most four of three letters"
    for reference in words:
        for hypothesis in words:
            found = edits(reference, hypothesis)
            assert found.total == fewest(reference, hypothesis), f"{reference} {hypothesis}"
            grown = len(hypothesis) - len(reference)
            assert found.insertions - found.deletions == grown, f"{reference} {hypothesis}: {found}"


@pytest.mark.parametrize(
    ("reference", "hypothesis", "kinds"),
    [
        ("", "", (0, 0, 0)),
        ("", "ab", (0, 0, 2)),
        ("ab", "", (0, 2, 0)),
        ("abc", "abc", (0, 0, 0)),
        ("ab", "bc", (2, 0, 0)),  # a tie with a deletion and an insertion
        ("abc", "xbz", (2, 0, 0)),
        ("abcd", "acd", (0, 1, 0)),
        ("acd", "abcd", (0, 0, 1)),
        ("kitten", "sitting", (2, 0, 1)),  # the example of every textbook
        ("aab", "ab", (0, 1, 0)),
    ],
)
def test_kinds_by_hand(reference: str, hypothesis: str, kinds: tuple[int, int, int]) -> None:
    assert edits(reference, hypothesis) == Edits(*kinds), f"{reference} -> {hypothesis}"


def test_items_are_whole_words() -> None:
    assert edits(["ab", "c"], ["a", "bc"]) == Edits(2, 0, 0), "letters are not compared"


def test_edits_add() -> None:
    assert Edits(1, 2, 3) + Edits(10, 20, 30) == Edits(11, 22, 33)
