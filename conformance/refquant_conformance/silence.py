"""What a backend never answered: it is not asked, and waited for, again.

Two properties may ask the same case. A backend that was silent until its time was up would be
waited for twice; what is known of it is said at once instead.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import takewhile

from refquant_conformance.answers import Answer
from refquant_conformance.protocol import Case

__all__ = ["Silences"]


@dataclass(slots=True)
class Silences:
    """The cases that hung, by what is in them.

    >>> import numpy as np
    >>> slow, other = (Case("cast", "f32_f16", {"x": np.float32([n])}) for n in (1, 2))
    >>> known = Silences()
    >>> known.note(slow, Answer("hung", reason="no answer in 20 s"))
    >>> len(known.before([other, slow, other])), known.answer(slow).kind
    (1, 'hung')
    """

    _known: dict[bytes, Answer] = field(default_factory=dict)

    def note(self, case: Case, answer: Answer) -> None:
        """Remember ``answer`` if it is a silence."""
        if answer.kind == "hung":
            self._known[_digest(case)] = answer

    def before(self, cases: Sequence[Case]) -> list[Case]:
        """Return the cases before the first that hung."""
        if not self._known:
            return list(cases)
        return list(takewhile(lambda case: _digest(case) not in self._known, cases))

    def answer(self, case: Case) -> Answer:
        """Return how a case hung; ``KeyError`` for one that did not."""
        return self._known[_digest(case)]


def _digest(case: Case) -> bytes:
    """Return what tells a case from others."""
    arrays = [(n, a.dtype.str, a.shape, a.tobytes()) for n, a in sorted(case.inputs.items())]
    rest = (case.op, case.scheme, sorted(case.params.items()), sorted(case.types.items()))
    return sha256(repr((arrays, rest, case.layout, case.environment)).encode()).digest()
