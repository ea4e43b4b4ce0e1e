"""Word error rate: what is one word, and what is an error."""

import pytest

from refquant.evaluation.edits import Edits
from refquant.evaluation.wer import normalised_words, word_errors


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        (" ... -- !", []),
        ("He was ill-disposed.", ["he", "was", "ill", "disposed"]),
        ("don\u2019t can't", ["dont", "cant"]),
        ("Mr. Dashwood & Mrs. No, Dr", ["mister", "dashwood", "missus", "no", "doctor"]),
        ("mr", ["mister"]),
        ("mrx hammr", ["mrx", "hammr"]),
        ("either/or 1\u20132", ["either", "or", "1", "2"]),
        ("\ufb01ne STRASSE stra\u00dfe", ["fine", "strasse", "strasse"]),
        ("caf\u00e9 cafe\u0301", ["caf\u00e9", "caf\u00e9"]),
        ("$5.00 & 50%", ["500", "50"]),
        ("tabs\tand\nlines\u00a0too", ["tabs", "and", "lines", "too"]),
    ],
)  # fmt: skip
def test_words(text: str, words: list[str]) -> None:
    assert normalised_words(text) == words, f"{text!r}"


def test_a_rate_is_over_all_recordings() -> None:
    found = word_errors(["a b c d e f g h", "i j"], ["a b c d e f g h", "i k l"])
    assert found.edits == Edits(1, 0, 1), "k for j, and l"
    assert (found.words, found.sentences, found.right) == (10, 2, 1), f"{found}"
    assert found.rate == 0.2, "not the mean of 0 and 1"


def test_an_empty_reference_counts_insertions() -> None:
    found = word_errors(["", "one"], ["two three", "one"])
    assert (found.edits, found.words, found.rate) == (Edits(0, 0, 2), 1, 2.0), f"{found}"
    assert word_errors(["...", "one"], ["", "one"]).right == 2, "nothing was said, and heard"


def test_an_empty_hypothesis_is_deletions() -> None:
    assert word_errors(["one two"], [""]).edits == Edits(0, 2, 0)


def test_a_rate_of_nothing_is_refused() -> None:
    for references in ([], [""], ["...", "-"]):
        with pytest.raises(ValueError, match="must have a word"):
            word_errors(references, [""] * len(references))
    with pytest.raises(ValueError, match="as many, got 1 and 2"):
        word_errors(["a"], ["a", "b"])
