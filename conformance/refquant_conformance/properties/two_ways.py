"""Two answers that should be one: the failure, with a single element where that shows it.

A law that asks the same numbers in two ways (two numbers of threads, two layouts, a constant or an
input) needs no contract. What fails is often one element of thousands, and a person wants to see
that one.
"""

from collections.abc import Callable
from typing import NoReturn

from refquant_conformance.answers import Answer
from refquant_conformance.arithmetic.base import Outputs
from refquant_conformance.difference import first_difference, same_answer
from refquant_conformance.protocol import Case
from refquant_conformance.trial import Trial

__all__ = ["fail_unlike", "outputs_of"]


def outputs_of(answer: Answer) -> Outputs:
    """Return the arrays of an answer; none if it was refused."""
    return dict(answer.result.outputs) if answer.result else {}


def fail_unlike(
    trial: Trial,
    case: Case,
    reason: str,
    answers: tuple[Answer, Answer],
    again: Callable[[Case], tuple[Answer, Answer]],
) -> NoReturn:
    """Fail because two answers to ``case`` differ; ``again`` asks another case in the same ways.

    The counterexample is the first element that differs, if it differs when asked alone, else the
    whole case: what depends on the neighbours of an element cannot be shown without them.
    """
    first, second = answers
    place = first_difference(outputs_of(first), second) if first.result else None
    if trial.arithmetic is not None and place is not None and place[1] >= 0:
        alone = trial.arithmetic.element(case, place[1])
        one, other = again(alone)
        if one.result and other.result and not same_answer(one, other):
            case, first, second = alone, one, other
    trial.fail(case, reason, expected=outputs_of(first), observed=outputs_of(second))
