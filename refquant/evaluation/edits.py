r"""How many edits make one sequence of another: Levenshtein's distance, and of which kinds.

With :math:`d_{ij}` the edits between the first i items of the reference r and the first j of the
hypothesis h,

.. math::

    d_{ij} = \min \begin{cases}
        d_{i-1,j-1} + [r_i \ne h_j] & \text{kept, or substituted} \\
        d_{i-1,j} + 1               & \text{deleted: } r_i \text{ is missing} \\
        d_{i,j-1} + 1               & \text{inserted: } h_j \text{ is too much}
    \end{cases}                                                                        \tag{1}

and :math:`d_{i0} = i`, :math:`d_{0j} = j`. The distance is unique. How it divides into kinds is
not: "a b" for "b" is a deletion and nothing else, but "a b" for "b c" is two substitutions, or a
deletion and an insertion. Of equal ways the first line of (1) wins, then the second. ::

          ""  b  c
      ""   0  1  2
      a    1  1  2
      b    2  1  2        2: from the left above, b -> c

References
----------
Levenshtein, "Binary codes capable of correcting deletions, insertions, and reversals", 1966;
Wagner, Fischer, "The String-to-String Correction Problem", 1974, for (1).
"""

from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["Edits", "edits"]


@dataclass(frozen=True, slots=True)
class Edits:
    """How many of each kind; ``total`` is the distance."""

    substitutions: int = 0
    deletions: int = 0
    insertions: int = 0

    @property
    def total(self) -> int:
        """Levenshtein's distance.

        >>> Edits(1, 2, 3).total
        6
        """
        return self.substitutions + self.deletions + self.insertions

    def __add__(self, other: "Edits") -> "Edits":
        """Return the edits of both together."""
        return Edits(
            self.substitutions + other.substitutions,
            self.deletions + other.deletions,
            self.insertions + other.insertions,
        )


def edits(reference: Sequence[str], hypothesis: Sequence[str]) -> Edits:
    """Return the fewest edits that make ``hypothesis`` of ``reference``: eq. (1).

    Items are compared as wholes: words, phonemes. Time is the product of the lengths.

    >>> edits("not an ill disposed man".split(), "not an old sposed man".split())
    Edits(substitutions=2, deletions=0, insertions=0)
    >>> edits("a b".split(), "b c".split())
    Edits(substitutions=2, deletions=0, insertions=0)
    >>> edits([], ["a"]), edits(["a"], [])
    (Edits(substitutions=0, deletions=0, insertions=1), \
Edits(substitutions=0, deletions=1, insertions=0))
    """
    above = [(j, 0, 0, j) for j in range(len(hypothesis) + 1)]  # (distance, then of each kind)
    for i, wanted in enumerate(reference, 1):
        row = [(i, 0, i, 0)]
        for j, got in enumerate(hypothesis, 1):
            wrong = int(wanted != got)
            ways = (
                _step(above[j - 1], wrong, (wrong, 0, 0)),
                _step(above[j], 1, (0, 1, 0)),
                _step(row[j - 1], 1, (0, 0, 1)),
            )
            row.append(min(ways, key=lambda way: way[0]))  # of equal ones the first
        above = row
    return Edits(*above[-1][1:])


def _step(
    begin: tuple[int, int, int, int], cost: int, kinds: tuple[int, int, int]
) -> tuple[int, int, int, int]:
    return (begin[0] + cost, begin[1] + kinds[0], begin[2] + kinds[1], begin[3] + kinds[2])
