"""What a backend never answered: it is not asked, and waited for, again.

Two properties may ask the same case. A backend that was silent until its time was up would be
waited for twice; what is known of it is said at once instead. A cell that was silent `PATIENCE`
times in a row is given up: each of its hundreds of other cases would cost the same time.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import takewhile

from refquant_conformance.answers import Answer
from refquant_conformance.protocol import Case

__all__ = ["PATIENCE", "Silences"]

PATIENCE = 3
"""So often in a row may a backend be silent before the rest of a cell is not asked."""


@dataclass(slots=True)
class Silences:
    """The cases that hung, by what is in them, and the cells that are given up.

    >>> import numpy as np
    >>> slow, other = (Case("cast", "f32_f16", {"x": np.float32([n])}) for n in (1, 2))
    >>> known = Silences()
    >>> known.note(slow, Answer("hung", reason="no answer in 20 s"))
    >>> len(known.before([other, slow, other])), known.answer(slow).kind
    (1, 'hung')
    """

    _known: dict[bytes, Answer] = field(default_factory=dict)
    _in_a_row: int = 0
    _given_up: dict[tuple[str, str], Answer] = field(default_factory=dict)

    def note(self, case: Case, answer: Answer) -> None:
        """Remember ``answer`` if it is a silence; any other ends the row of them."""
        if answer.kind != "hung":
            self._in_a_row = 0
            return
        self._known[_digest(case)] = answer
        self._in_a_row += 1
        if self._in_a_row >= PATIENCE:
            reason = f"not asked: {self._in_a_row} others in a row, {answer.reason}"
            self._given_up[case.op, case.scheme] = Answer("hung", reason=reason)

    def before(self, cases: Sequence[Case]) -> list[Case]:
        """Return the cases before the first that is not to be asked."""
        if not self._known:
            return list(cases)
        return list(takewhile(lambda case: self._of(case) is None, cases))

    def answer(self, case: Case) -> Answer:
        """Return how a case hung, or that it is not asked; ``KeyError`` for one that can be."""
        if (known := self._of(case)) is None:
            raise KeyError(f"{case.op} {case.scheme}: this case may be asked")
        return known

    def _of(self, case: Case) -> Answer | None:
        return self._known.get(_digest(case)) or self._given_up.get((case.op, case.scheme))


def _digest(case: Case) -> bytes:
    """Return what tells a case from others."""
    arrays = [(n, a.dtype.str, a.shape, a.tobytes()) for n, a in sorted(case.inputs.items())]
    rest = (case.op, case.scheme, sorted(case.params.items()), sorted(case.types.items()))
    return sha256(repr((arrays, rest, case.layout, case.environment)).encode()).digest()
