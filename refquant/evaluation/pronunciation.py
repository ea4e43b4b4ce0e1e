r"""How words are said: the part of them that is right, and the phoneme error rate.

A dictionary may know more than one way to say a word, and each is right. With :math:`D_w` the ways
of word w, the first of them :math:`r_w`, and :math:`h_w` what the model says,

.. math::

    \mathrm{right} = \frac{1}{n} \sum_w [h_w \in D_w], \qquad
    \mathrm{PER} = \frac{\sum_w \min_{r \in D_w} d(r, h_w)}{\sum_w |r_w|}                  \tag{1}

with d Levenshtein's distance (`refquant.evaluation.edits`) in phonemes. A vowel with another stress
is another phoneme: EH0 is not EH1. ::

    dictionary      READ    R EH1 D        model   R EH1 D    right, 0 errors of 3
                    READ(1) R IY1 D
                    LEAD    L EH1 D                L EH0 D    wrong, 1 error of 3

Words are chosen by a generator with a seed, not from the beginning: a dictionary is sorted, and
its first thousand words all begin with A.

Left out: words with anything but the letters a to z, which the model cannot read.

References
----------
The CMU Pronouncing Dictionary, for its lines and phonemes; Yao and Zweig, "Sequence-to-Sequence
Neural Net Models for Grapheme-to-Phoneme Conversion", 2015, section 4, for both rates over the
nearest way.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from refquant.evaluation.edits import edits
from refquant.model.graph import Graph
from refquant.model.loaders.g2p_gru import PHONEMES, pronounce

__all__ = ["Pronunciation", "choose_words", "parse_dictionary", "phoneme_errors", "pronunciation"]

Ways = Mapping[str, Sequence[Sequence[str]]]

_GROUP = 250  # words at a time


@dataclass(frozen=True, slots=True)
class Pronunciation:
    """``right`` of ``words`` words, and ``errors`` against ``phonemes`` phonemes: eq. (1)."""

    words: int
    right: int
    phonemes: int
    errors: int

    @property
    def error_rate(self) -> float:
        """PER of eq. (1).

        >>> Pronunciation(words=2, right=1, phonemes=5, errors=1).error_rate
        0.2
        """
        return self.errors / self.phonemes


def parse_dictionary(text: str) -> dict[str, list[list[str]]]:
    r"""Return word -> its ways, in lower case, of a dictionary in CMU's format.

    A line is a word, ``(2)`` behind it for another way, and phonemes; ``;;;`` begins a comment,
    ``#`` ends a line. Words with other signs than letters are left out. `ValueError` for a line
    without phonemes, for phonemes that the model cannot say, and for a text without words.

    >>> parse_dictionary("READ  R EH1 D\nREAD(1)  R IY1 D # now\nO'ER  AO1 R\n")
    {'read': [['R', 'EH1', 'D'], ['R', 'IY1', 'D']]}
    """
    found: dict[str, list[list[str]]] = {}
    known = frozenset(PHONEMES)
    for number, line in enumerate(text.splitlines(), 1):
        word, *said = line.split("#")[0].split() if not line.startswith(";;;") else ("",)
        word = re.sub(r"\(\d+\)$", "", word).lower()
        if not re.fullmatch("[a-z]+", word):
            continue
        strange = [phoneme for phoneme in said if phoneme not in known]
        if strange or not said:
            got = f"{strange[0]!r:.20}" if strange else "none"
            raise ValueError(
                f"line {number}: the phonemes of a word are CMU's, such as EH1, got {got}; give a "
                "dictionary like cmudict"
            )
        found.setdefault(word, []).append(said)
    if not found:
        raise ValueError("holds no word of the letters a to z; give a dictionary like cmudict")
    return found


def choose_words(ways: Ways, *, samples: int | None, seed: int = 0) -> list[str]:
    """Return ``samples`` words of the dictionary, in the order drawn; None, or too many: all.

    >>> choose_words({"b": [], "a": []}, samples=None)
    ['a', 'b']
    """
    words = sorted(ways)
    if samples is None or samples >= len(words):
        return words
    if samples < 1:
        raise ValueError(f"samples must be at least 1, got {samples}")
    return [
        words[i] for i in np.random.default_rng(seed).choice(len(words), samples, replace=False)
    ]


def phoneme_errors(said: Mapping[str, Sequence[str]], ways: Ways) -> Pronunciation:
    """Return eq. (1) of what is ``said``, word -> phonemes; each word is in ``ways``.

    >>> ways = {"lead": [["L", "EH1", "D"], ["L", "IY1", "D"]]}
    >>> phoneme_errors({"lead": ["L", "EH0", "D"]}, ways)
    Pronunciation(words=1, right=0, phonemes=3, errors=1)
    """
    if not said:
        raise ValueError("said must have a word, got none")
    fewest = [min(edits(way, said[word]).total for way in ways[word]) for word in said]
    return Pronunciation(
        words=len(said),
        right=sum(found == 0 for found in fewest),
        phonemes=sum(len(ways[word][0]) for word in said),
        errors=sum(fewest),
    )


def pronunciation(
    graphs: tuple[Graph, Graph],
    ways: Ways,
    words: Sequence[str],
    *,
    sums: str = "ordered",
    advance: Callable[[int], None] = lambda done: None,
) -> Pronunciation:
    """Return eq. (1) of ``graphs`` (encoder, decoder) on ``words``; ``advance(n)`` after n words.

    >>> pronunciation((), {}, [])
    Traceback (most recent call last):
    ...
    ValueError: said must have a word, got none
    """
    by_length: dict[int, list[str]] = {}
    for word in words:
        by_length.setdefault(len(word), []).append(word)
    said: dict[str, list[str]] = {}
    for group in by_length.values():
        for i in range(0, len(group), _GROUP):
            some = group[i : i + _GROUP]
            said |= dict(zip(some, pronounce(graphs, some, sums=sums), strict=True))
            advance(len(some))
    return phoneme_errors(said, ways)
