"""Pronunciation: dictionaries, the nearest way, and a model that always says the same."""

from dataclasses import replace

import numpy as np
import pytest

from refquant.evaluation.pronunciation import (
    Pronunciation,
    choose_words,
    parse_dictionary,
    phoneme_errors,
    pronunciation,
)
from refquant.model.loaders.g2p_gru import PHONEMES, g2p_graphs, pronounce
from refquant.model.loaders.tensors import Tensors
from tests.refquant.model.loaders.tiny import g2p_arrays

TEXT = """;;; a comment
READ  R EH1 D
READ(1)  R IY1 D
'TIS  T IH1 Z
A.M.  EY2 EH1 M
lead l
"""


def test_lines_of_both_ages() -> None:
    new = "read R EH1 D # past\nread(2) R IY1 D\n"
    assert parse_dictionary(new) == {"read": [["R", "EH1", "D"], ["R", "IY1", "D"]]}
    old = parse_dictionary(TEXT.replace("lead l\n", ""))
    assert old == parse_dictionary(new), "other signs than letters are left out"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TEXT, "line 6: the phonemes of a word are CMU's, such as EH1, got 'l'"),
        ("read\n", "line 1: .* got none"),
        ("read r\u025bd\n", "got 'r\u025bd'"),
        ("", "holds no word"),
        (";;; x\n1 W AH1 N\n", "holds no word"),
    ],
)
def test_what_is_no_dictionary(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_dictionary(text)


def test_words_are_drawn_from_everywhere() -> None:
    ways: dict[str, list[list[str]]] = {f"w{i:03}": [["W"]] for i in range(500)}
    some = choose_words(ways, samples=50)
    assert len(set(some)) == 50, "no word twice"
    assert some == choose_words(dict(reversed(ways.items())), samples=50), "the same every time"
    assert max(some) > "w400" and min(some) < "w100", "from everywhere"  # noqa: PT018  # one law
    assert some != choose_words(ways, samples=50, seed=1), "another seed, other words"
    assert choose_words(ways, samples=501) == sorted(ways), "all that there are"
    with pytest.raises(ValueError, match="samples must be at least 1"):
        choose_words(ways, samples=0)


def test_the_nearest_way_counts() -> None:
    ways = {"read": [["R", "EH1", "D"], ["R", "IY1", "D"]], "a": [["EY1"], ["AH0"]]}
    for said, right, errors in (
        ({"read": ["R", "IY1", "D"], "a": ["AH0"]}, 2, 0),
        ({"read": ["R", "IY0", "D"], "a": ["AH0"]}, 1, 1),  # another stress is another phoneme
        ({"read": [], "a": ["EY1", "EY1"]}, 0, 4),
    ):
        found = phoneme_errors(said, ways)
        assert found == Pronunciation(2, right, 4, errors), f"{said}: {found}"
    assert found.error_rate == 1.0, f"{found}"


def test_a_model_is_asked_in_groups_of_one_length() -> None:
    graphs = g2p_graphs(Tensors("tiny", g2p_arrays()))
    words = ["ab", "xyz", "ba", "q"]
    told: list[int] = []
    ways = {word: [["B"], *pronounce(graphs, [word])] for word in words}
    found = pronunciation(graphs, ways, words, advance=told.append)
    assert (found.words, found.right, found.errors) == (4, 4, 0), f"{found}"
    assert found.phonemes == 4, "of the first way"
    assert sorted(told) == [1, 1, 2], f"{told}"


def test_long_dictionaries_go_in_pieces() -> None:
    graphs = g2p_graphs(Tensors("tiny", g2p_arrays()))
    letters = "abcdefghijklmnopqrst"
    words = [a + b for a in letters for b in letters][:300]
    told: list[int] = []
    pronunciation(graphs, {word: [["B"]] for word in words}, words, advance=told.append)
    assert told == [250, 50], f"{told}"


def test_nan_is_no_pronunciation() -> None:
    encoder, decoder = g2p_graphs(Tensors("tiny", g2p_arrays()))
    bias = {"fc_b": np.full(len(PHONEMES), np.nan, np.float32)}
    broken = replace(decoder, constants={**decoder.constants, **bias})
    with pytest.raises(ValueError, match="computes NaN for"):
        pronunciation((encoder, broken), {"ab": [["B"]]}, ["ab"])
