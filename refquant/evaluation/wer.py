r"""Word error rate: of 100 words that were said, how many edits is what was understood away.

.. math::

    \mathrm{WER} = \frac{S + D + I}{N}                                                    \tag{1}

S words substituted, D deleted, I inserted (`refquant.evaluation.edits`), N words of the references,
all recordings together: a long one counts for more. It may pass 100 %: insertions have no limit.

**Normalisation** decides the number as much as the model does: "Mr. Dashwood," and "mister
dashwood" are the same words, or two errors. Ours, of both sides, in this order:

1. Unicode's NFKC (ligatures, full-width letters), then case folded;
2. hyphens, dashes and slashes become spaces: "ill-disposed" is two words;
3. everything but letters, marks, digits and spaces goes away, apostrophes too: "don't" is "dont";
4. the words mr, mrs and dr become mister, missus and doctor;
5. words are what spaces separate.

Left out: numbers as words ("3" is not "three"), British against American spelling, "uh" and "um",
contractions ("won't" is not "will not"): Whisper's own English normaliser does these, so its
published rates are lower than (1) on the same words.

References
----------
NIST ``sclite``, for (1) over all recordings; Radford et al., "Robust Speech Recognition via
Large-Scale Weak Supervision", 2022, appendix C, for what else is normalised there.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from refquant.evaluation.edits import Edits, edits

__all__ = ["ABBREVIATIONS", "WordErrors", "normalised_words", "word_errors"]

ABBREVIATIONS = {"mr": "mister", "mrs": "missus", "dr": "doctor"}
"""Step 4: written one way, said the other."""


@dataclass(frozen=True, slots=True)
class WordErrors:
    """``edits`` among ``words`` of ``sentences`` references, of which ``right`` have none."""

    edits: Edits
    words: int
    sentences: int
    right: int

    @property
    def rate(self) -> float:
        """Eq. (1), 0 or more.

        >>> WordErrors(Edits(2, 1, 0), words=12, sentences=2, right=1).rate
        0.25
        """
        return self.edits.total / self.words


def normalised_words(text: str) -> list[str]:
    """Return the words of ``text``, by the five steps above; none for a text without letters.

    >>> normalised_words("Mr. O'Brien, ill-disposed?")
    ['mister', 'obrien', 'ill', 'disposed']
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    spaced = re.sub(r"[-\u2010-\u2015/]", " ", folded)
    plain = "".join(c for c in spaced if c.isspace() or unicodedata.category(c)[0] in "LMN")
    return [ABBREVIATIONS.get(word, word) for word in plain.split()]


def word_errors(references: Sequence[str], hypotheses: Sequence[str]) -> WordErrors:
    """Return the errors of ``hypotheses``, one a reference: eq. (1).

    An empty reference has no words, and all of its hypothesis is inserted. `ValueError` if no
    reference has a word: a rate of nothing is no number.

    >>> word_errors(["He was ill-disposed.", "No!"], ["he was all disposed", "no"]).rate
    0.2
    """
    if len(references) != len(hypotheses):
        raise ValueError(
            f"references and hypotheses must be as many, got {len(references)} and "
            f"{len(hypotheses)}"
        )
    total, words, right = Edits(), 0, 0
    for reference, hypothesis in zip(references, hypotheses, strict=True):
        wanted = normalised_words(reference)
        found = edits(wanted, normalised_words(hypothesis))
        total, words, right = total + found, words + len(wanted), right + (found.total == 0)
    if words == 0:
        raise ValueError(
            f"references must have a word, and {len(references)} have none; give what was said"
        )
    return WordErrors(total, words, len(references), right)
