"""Ask a backend the vectors, and say which contracts its answers agree with, test by test.

A backend that is all of one contract answers every test as that contract does. So the result of a
cell is the set of contracts that no answer contradicts; an empty set has the first test at which
the last contract was lost.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from refquant_conformance.answers import Answer
from refquant_conformance.identify import first_difference
from refquant_conformance.subject import Subject
from refquant_conformance.vectors.read import Vector

__all__ = ["Agreement", "run_vectors"]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the vectors say of one cell: the contracts that are left after ``tests`` tests.

    ``trouble`` says how the last one of the ``unanswered`` tests was not answered; ``failed`` that
    no contract is left, or that a test ended the backend or had nonsense for an answer.
    """

    op: str
    scheme: str
    contracts: tuple[str, ...]
    tests: int
    unanswered: int
    lost_at: int | None = None
    trouble: str = ""
    failed: bool = False


def run_vectors(subject: Subject, vectors: Iterable[Vector]) -> list[Agreement]:
    """Return the agreement of each cell that ``subject`` says it computes."""
    listed = {(cell.op, cell.scheme) for cell in subject.capabilities}
    cells: dict[tuple[str, str], list[Vector]] = {}
    for vector in vectors:
        key = (vector.case.op, vector.case.scheme)
        if key in listed:
            cells.setdefault(key, []).append(vector)
    return [_agreement(subject, key, tests) for key, tests in cells.items()]


def _agreement(subject: Subject, key: tuple[str, str], tests: Sequence[Vector]) -> Agreement:
    left: set[str] | None = None
    order: list[str] = []
    lost_at, trouble, unanswered, failed = None, "", 0, False
    for vector, answer in zip(tests, subject.ask([v.case for v in tests]), strict=True):
        if answer.kind not in ("result", "rejected") or _refused_alone(vector, answer):
            unanswered, trouble = unanswered + 1, f"{answer.kind}: {answer.reason}"
            failed = failed or answer.kind not in ("unsupported", "rejected")
            continue
        agreeing = _agreeing(vector, answer)
        if vector.undefined:  # the specification says nothing here, so it agrees with everything
            agreeing = [*agreeing, "spec"]
        order += [name for name in agreeing if name not in order]
        before = left
        left = set(agreeing) if left is None else left & set(agreeing)
        if before != set() and not left and lost_at is None:
            lost_at = vector.number
    names = tuple(name for name in order if left and name in left)
    failed = failed or not names
    return Agreement(*key, names, len(tests), unanswered, lost_at, trouble, failed)


def _refused_alone(vector: Vector, answer: Answer) -> bool:
    """Whether a backend refuses what every contract computes: no number of it is wrong.

    Ours does where a sum of int32 might overflow, which it proves before it computes.
    """
    return answer.kind == "rejected" and all(e.outputs is not None for e in vector.expected)


def _agreeing(vector: Vector, answer: Answer) -> list[str]:
    return [
        name
        for expected in vector.expected
        if first_difference(expected.outputs, answer) is None
        for name in expected.contracts
    ]
